//! A reliability diagram: how often promises were kept over how often they said they would be, as SVG.

use std::path::Path;

use plotters::prelude::*;
use serde_json::Value;

const SIZE: (u32, u32) = (560, 560);
const COLOURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];

pub(super) fn draw(path: &Path, rows: &[Value]) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Promises for the next day: kept, over stated",
            ("sans-serif", 18),
        )
        .margin(16)
        .x_label_area_size(42)
        .y_label_area_size(48)
        .build_cartesian_2d(0.45..1.0, 0.45..1.0)?;
    chart
        .configure_mesh()
        .x_desc("stated confidence")
        .y_desc("share of promises kept")
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new([(0.45, 0.45), (1.0, 1.0)], BLACK.mix(0.35)))?;
    let mut names: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["series"].as_str())
        .collect();
    names.dedup();
    for (name, colour) in names.into_iter().zip(COLOURS) {
        let points: Vec<(f64, f64)> = rows
            .iter()
            .filter(|row| row["series"] == name)
            .filter_map(|row| Some((row["confidence"].as_f64()?, row["kept"].as_f64()?)))
            .collect();
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?;
        chart
            .draw_series(
                points
                    .into_iter()
                    .map(|point| Circle::new(point, 4, colour.filled())),
            )?
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE)
        .draw()?;
    root.present()?;
    Ok(())
}
