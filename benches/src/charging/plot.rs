//! What each way of sharing delivers under a falling limit, as SVG.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

use super::policies::Policy;

const SIZE: (u32, u32) = (1_100, 520);
const COLOURS: [RGBColor; 6] = [
    RGBColor(150, 150, 150),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws rows of the bench as lines, and those of another program as circles.
pub(super) fn draw(path: &Path, rows: &[Value], peers: &[Value]) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    let delivered = "Energy delivered, share of what was asked for";
    panel(&left, delivered, "delivered_share", rows, peers)?;
    let worst = "What the worst-served twentieth got of it";
    panel(&right, worst, "worst_twentieth", rows, peers)?;
    root.present()?;
    Ok(())
}

fn panel(
    area: &Area<'_>,
    title: &str,
    field: &str,
    rows: &[Value],
    peers: &[Value],
) -> anyhow::Result<()> {
    let points = |rows: &[Value], policy: &str| -> Vec<(f64, f64)> {
        let of = |row: &&Value| row["policy"] == policy;
        let point = |row: &Value| Some((row["limit_kw"].as_f64()?, row[field].as_f64()?));
        rows.iter().filter(of).filter_map(point).collect()
    };
    let limits = || rows.iter().filter_map(|row| row["limit_kw"].as_f64());
    let (least, most) = (
        limits().fold(f64::INFINITY, f64::min),
        limits().fold(0.0, f64::max),
    );
    anyhow::ensure!(least < most, "a plot needs two limits");
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(46)
        .build_cartesian_2d(least..most, 0.0..1.02)?;
    chart
        .configure_mesh()
        .x_desc("limit, kW")
        .label_style(("sans-serif", 14))
        .light_line_style(RGBColor(240, 240, 240))
        .draw()?;
    for (policy, colour) in Policy::ALL.into_iter().zip(COLOURS).skip(1) {
        let width = if policy == Policy::Window { 3 } else { 2 };
        chart
            .draw_series(LineSeries::new(
                points(rows, policy.name()),
                colour.stroke_width(width),
            ))?
            .label(policy.name())
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(width))
            });
        let theirs = points(peers, policy.name());
        chart.draw_series(
            theirs
                .into_iter()
                .map(|at| Circle::new(at, 4, colour.stroke_width(1))),
        )?;
    }
    let best = points(peers, "hindsight");
    if !best.is_empty() {
        chart
            .draw_series(
                best.into_iter()
                    .map(|at| TriangleMarker::new(at, 5, BLACK.filled())),
            )?
            .label("most with hindsight")
            .legend(|(x, y)| TriangleMarker::new((x + 11, y), 5, BLACK.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(200, 200, 200))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}
