//! How time grows with the number of stations: least squares on logarithms.

use serde_json::{Value, json};

use super::round;

/// Solvers and the fields that hold their seconds.
pub(super) const SERIES: [(&str, &str); 3] = [
    ("fast", "fast_seconds"),
    ("clarabel", "clarabel_seconds"),
    ("HiGHS", "reference_seconds"),
];

/// Stations and seconds of all rows with so many intervals; rows that ran out of time are left out.
pub(super) fn points(rows: &[Value], intervals: u64, field: &str) -> Vec<(f64, f64)> {
    let of = |row: &&Value| row["intervals"].as_u64() == Some(intervals);
    let point = |row: &Value| Some((row["stations"].as_f64()?, row[field].as_f64()?));
    let mut points: Vec<(f64, f64)> = rows.iter().filter(of).filter_map(point).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// All numbers of intervals among the rows, in order.
pub(super) fn horizons(rows: &[Value]) -> Vec<u64> {
    let mut horizons: Vec<u64> = rows
        .iter()
        .filter_map(|row| row["intervals"].as_u64())
        .collect();
    horizons.sort_unstable();
    horizons.dedup();
    horizons
}

/// A row for each solver and number of intervals that has been measured at two sizes at least.
pub(super) fn exponents(rows: &[Value]) -> Vec<Value> {
    let mut found = Vec::new();
    for intervals in horizons(rows) {
        for (solver, field) in SERIES {
            let points = points(rows, intervals, field);
            if let Some(exponent) = exponent(&points) {
                found.push(json!({
                    "bench": "optimizer growth",
                    "solver": solver,
                    "intervals": intervals,
                    "from_stations": points[0].0,
                    "to_stations": points[points.len() - 1].0,
                    "exponent": round(exponent),
                }));
            }
        }
    }
    found
}

/// The slope of log time over log stations; `None` without two sizes.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.iter().map(|(n, s)| (n.ln(), s.ln())).collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let spread: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
    let slope: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
    (spread > 0.0).then(|| slope / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_power_is_found() {
        let points: Vec<(f64, f64)> = [300.0, 1_000.0, 3_000.0_f64]
            .iter()
            .map(|n| (*n, 2e-4 * n.powf(1.3)))
            .collect();
        assert!((exponent(&points).expect("three sizes") - 1.3).abs() < 1e-9);
        assert_eq!(exponent(&points[..1]), None);
        assert_eq!(exponent(&[]), None);
    }

    #[test]
    fn a_size_that_ran_out_of_time_is_left_out() {
        let row = |stations: u64, seconds: Value| json!({ "stations": stations, "intervals": 24, "fast_seconds": seconds });
        let rows = [
            row(100, json!(1.0)),
            row(10, json!(0.1)),
            row(1_000, json!(">600")),
        ];
        assert_eq!(
            points(&rows, 24, "fast_seconds"),
            [(10.0, 0.1), (100.0, 1.0)]
        );
        let found = exponents(&rows);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["exponent"], 1.0);
        assert_eq!(found[0]["to_stations"], 100.0);
    }
}
