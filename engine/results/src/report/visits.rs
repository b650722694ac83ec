//! How well it was known the day before who would come and go.

use std::path::Path;

use serde::Serialize;

use super::fleet::whole;
use super::series::round;
use crate::Error;
use crate::reader::each;
use crate::rows;

/// One quantity, over all quarters of an hour and aggregators for which something was expected.
#[derive(Serialize)]
pub(super) struct Forecast {
    /// `arrivals`, `departures` or `energy`.
    quantity: &'static str,
    /// How many were judged.
    quarters: u64,
    /// The share in which less came than what was not to be exceeded in 10, 50 and 90 % of them; none where nothing was judged.
    below: [Option<f64>; 3],
    /// Mean distance from the middle, as a share of the mean; none where nothing came.
    error_share: Option<f64>,
}

#[derive(Default)]
struct Sums {
    quarters: u64,
    actual: f64,
    missed: f64,
    /// Judged and found below, of each quantile: one of nothing says nothing.
    below: [(u64, u64); 3],
}

impl Sums {
    fn take(&mut self, actual: f64, expected: [Option<f64>; 3]) {
        let [Some(low), Some(middle), Some(high)] = expected else {
            return;
        };
        self.quarters += 1;
        self.actual += actual;
        self.missed += (actual - middle).abs();
        for ((judged, below), said) in self.below.iter_mut().zip([low, middle, high]) {
            *judged += u64::from(said > 0.0);
            *below += u64::from(said > 0.0 && actual < said);
        }
    }
}

/// None where nothing was expected.
pub(super) fn forecasts(folder: &Path) -> Result<Vec<Forecast>, Error> {
    let mut sums = [Sums::default(), Sums::default(), Sums::default()];
    each::<rows::Visits>(folder, |columns| {
        for row in 0..columns.start.len() {
            let [arrivals, departures, energy] = &mut sums;
            arrivals.take(
                whole(columns.arrivals[row]),
                [
                    columns.expected_arrivals_p10[row],
                    columns.expected_arrivals_p50[row],
                    columns.expected_arrivals_p90[row],
                ],
            );
            departures.take(
                whole(columns.departures[row]),
                [
                    columns.expected_departures_p10[row],
                    columns.expected_departures_p50[row],
                    columns.expected_departures_p90[row],
                ],
            );
            energy.take(
                columns.energy_needed_kwh[row],
                [
                    columns.expected_energy_p10_kwh[row],
                    columns.expected_energy_p50_kwh[row],
                    columns.expected_energy_p90_kwh[row],
                ],
            );
        }
    })?;
    let found = ["arrivals", "departures", "energy"].into_iter().zip(sums);
    let found = found.filter(|(_, sums)| sums.quarters > 0);
    let forecast = |(quantity, sums): (&'static str, Sums)| Forecast {
        quantity,
        quarters: sums.quarters,
        below: sums
            .below
            .map(|(judged, below)| (judged > 0).then(|| round(whole(below) / whole(judged), 4))),
        error_share: (sums.actual > 0.0).then(|| round(sums.missed / sums.actual, 4)),
    };
    Ok(found.map(forecast).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of four quarters with 2, 4, 6 and 8 vehicles where no more than 3, 5 and 8 were expected, one was below the first,
    /// two below the second and three below the third; off by 3, 1, 1 and 3 of 20. A low end of nothing is not judged.
    #[test]
    fn quarters_below_are_counted() {
        let mut sums = Sums::default();
        for actual in [2.0, 4.0, 6.0, 8.0] {
            sums.take(actual, [Some(3.0), Some(5.0), Some(8.0)]);
        }
        assert_eq!(sums.below, [(4, 1), (4, 2), (4, 3)]);
        assert_eq!((sums.quarters, sums.actual, sums.missed), (4, 20.0, 8.0));
        sums.take(0.0, [Some(0.0), Some(1.0), Some(2.0)]);
        sums.take(9.0, [None, None, None]);
        assert_eq!(sums.below, [(4, 1), (5, 3), (5, 4)]);
    }
}
