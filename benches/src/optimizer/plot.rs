//! Time over the number of stations, log-log, as SVG.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;
use serde_json::Value;

use super::growth::{SERIES, horizons, points};

const SIZE: (u32, u32) = (900, 600);
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(90, 90, 90),
];

/// Draws the rows with the number of intervals that occurs most often.
pub(super) fn draw(path: &Path, rows: &[Value]) -> anyhow::Result<()> {
    let count = |intervals: &u64| {
        rows.iter()
            .filter(|r| r["intervals"].as_u64() == Some(*intervals))
            .count()
    };
    let intervals = horizons(rows)
        .into_iter()
        .max_by_key(count)
        .ok_or_else(|| anyhow!("nothing to draw"))?;
    let mut lines: Vec<_> = SERIES
        .iter()
        .zip(COLOURS)
        .map(|((name, field), colour)| (*name, colour, points(rows, intervals, field)))
        .collect();
    lines.retain(|(.., points)| !points.is_empty());
    let all = || lines.iter().flat_map(|(.., points)| points.iter().copied());
    let range = |of: fn(&(f64, f64)) -> f64| {
        let values = || all().map(|point| of(&point));
        values().fold(f64::INFINITY, f64::min) / 1.5..values().fold(0.0, f64::max) * 1.5
    };
    let (stations, seconds) = (range(|p| p.0), range(|p| p.1));
    anyhow::ensure!(stations.start < stations.end, "nothing to draw");

    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            format!("Plan: seconds to solve, {intervals} intervals"),
            ("sans-serif", 22),
        )
        .margin(16)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(stations.log_scale(), seconds.log_scale())?;
    chart
        .configure_mesh()
        .x_desc("stations")
        .y_desc("seconds")
        .label_style(("sans-serif", 15))
        .light_line_style(RGBColor(238, 238, 238))
        .x_label_formatter(&|n| plain(*n))
        .y_label_formatter(&|s| plain(*s))
        .draw()?;
    for (name, colour, points) in lines {
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(2)));
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 4, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(200, 200, 200))
        .label_font(("sans-serif", 15))
        .draw()?;
    root.present()?;
    Ok(())
}

/// Without trailing zeros; `f64` prints the shortest text.
fn plain(value: f64) -> String {
    format!("{}", super::round(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plot_names_its_solvers() {
        let rows = [
            json!({ "stations": 300, "intervals": 24, "fast_seconds": 0.01, "clarabel_seconds": 2.0 }),
            json!({ "stations": 1_000, "intervals": 24, "fast_seconds": 0.04, "clarabel_seconds": ">60" }),
        ];
        let file = tempfile::NamedTempFile::with_suffix(".svg").expect("a file");
        draw(file.path(), &rows).expect("drawn");
        let svg = std::fs::read_to_string(file.path()).expect("read");
        assert!(svg.contains("<svg") && svg.contains("fast") && svg.contains("clarabel"));
        assert!(!svg.contains("HiGHS"), "nothing measured");
        assert!(draw(file.path(), &[]).is_err());
    }
}
