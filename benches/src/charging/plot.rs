//! What each way of sharing delivers under a falling limit, and at what cost, as SVG.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

const SIZE: (u32, u32) = (1_180, 960);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line, or marks for another program's rows.
struct Series {
    policy: &'static str,
    colour: RGBColor,
    width: u32,
}

const fn series(policy: &'static str, colour: (u8, u8, u8), width: u32) -> Series {
    let (red, green, blue) = colour;
    Series {
        policy,
        colour: RGBColor(red, green, blue),
        width,
    }
}

const CHARGING: [Series; 7] = [
    series("round robin", (230, 159, 0), 2),
    series("rotation", (150, 150, 150), 2),
    series("first come, first served", (204, 121, 167), 2),
    series("earliest deadline first", (86, 180, 233), 2),
    series("least laxity first", (0, 114, 178), 2),
    series("window (vpp)", (0, 158, 115), 3),
    series("plan (vpp)", (213, 94, 0), 3),
];
const V2G: [Series; 6] = [
    series("round robin", (230, 159, 0), 2),
    series("least laxity first", (0, 114, 178), 2),
    series("least laxity first, V2G", (86, 180, 233), 2),
    series("plan (vpp)", (213, 94, 0), 3),
    series("plan, V2G (vpp)", (204, 121, 167), 3),
    series("plan of vehicles, V2G (vpp)", (0, 158, 115), 3),
];

struct Panel<'a> {
    case: &'a str,
    title: &'a str,
    field: &'a str,
    series: &'a [Series],
    /// The row of hindsight that bounds it.
    bound: &'a str,
    legend: bool,
}

/// Draws rows of the bench as lines, and those of other programs as marks: circles for acnportal, crosses for EV2Gym,
/// triangles for the bounds of hindsight.
pub(super) fn draw(path: &Path, rows: &[Value], peers: &[Value]) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let cost = "cost_cny_per_kwh";
    let panel = |case, title, field, series, bound, legend| Panel {
        case,
        title,
        field,
        series,
        bound,
        legend,
    };
    let panels = [
        panel(
            "garage",
            "Garage: energy delivered, share of what was asked for",
            "delivered_share",
            &CHARGING[..],
            "hindsight",
            true,
        ),
        panel(
            "depot",
            "Bus depot: energy delivered, share of what was asked for",
            "delivered_share",
            &CHARGING[..],
            "hindsight",
            false,
        ),
        panel(
            "depot",
            "Bus depot: cost of each kWh, CNY",
            cost,
            &CHARGING[..],
            "hindsight",
            false,
        ),
        panel(
            "v2g",
            "Garage with V2G, sun and houses: cost of each kWh, CNY",
            cost,
            &V2G[..],
            "hindsight, V2G",
            true,
        ),
    ];
    for (area, panel) in root.split_evenly((2, 2)).iter().zip(&panels) {
        if rows.iter().any(|row| row["case"] == panel.case) {
            panel.draw(area, rows, peers)?;
        }
    }
    root.present()?;
    Ok(())
}

impl Panel<'_> {
    fn points(&self, rows: &[Value], of: impl Fn(&Value) -> bool) -> Vec<(f64, f64)> {
        let here = |row: &&Value| row["case"] == self.case && of(row);
        let point = |row: &Value| Some((row["limit_kw"].as_f64()?, row[self.field].as_f64()?));
        rows.iter().filter(here).filter_map(point).collect()
    }

    fn draw(&self, area: &Area<'_>, rows: &[Value], peers: &[Value]) -> anyhow::Result<()> {
        let drawn = |row: &Value| {
            self.series
                .iter()
                .any(|series| row["policy"] == series.policy)
        };
        let mut all = self.points(rows, drawn);
        let bound = self.points(peers, |row| row["policy"] == self.bound);
        all.extend(&bound);
        let range = |of: fn(&(f64, f64)) -> f64| {
            let values = || all.iter().map(of);
            (
                values().fold(f64::INFINITY, f64::min),
                values().fold(0.0, f64::max),
            )
        };
        let ((least, most), (low, high)) = (range(|at| at.0), range(|at| at.1));
        anyhow::ensure!(least < most, "a plot needs two limits");
        let margin = 0.04 * (high - low);
        // A falling line leaves no place for the legend.
        let top = match self.legend && self.field != "delivered_share" {
            true => high + 0.7 * (high - low),
            false => high + margin,
        };
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(46)
            .build_cartesian_2d(least..most, low - margin..top)?;
        chart
            .configure_mesh()
            .x_desc("limit of the transformer, kW")
            .x_label_formatter(&|limit| format!("{limit:.0}"))
            .label_style(("sans-serif", 14))
            .light_line_style(RGBColor(240, 240, 240))
            .draw()?;
        for series in self.series {
            let (colour, width) = (series.colour, series.width);
            let mine = self.points(rows, |row| row["policy"] == series.policy);
            chart
                .draw_series(LineSeries::new(mine, colour.stroke_width(width)))?
                .label(series.policy)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(width))
                });
            let theirs = |program: &str| {
                self.points(peers, |row| {
                    row["policy"] == series.policy && row["program"] == program
                })
            };
            let circles = theirs("acnportal").into_iter();
            chart.draw_series(circles.map(|at| Circle::new(at, 5, colour.stroke_width(1))))?;
            let crosses = theirs("EV2Gym").into_iter();
            chart.draw_series(crosses.map(|at| Cross::new(at, 5, colour.stroke_width(2))))?;
        }
        chart
            .draw_series((bound.into_iter()).map(|at| TriangleMarker::new(at, 5, BLACK.filled())))?
            .label(self.bound)
            .legend(|(x, y)| TriangleMarker::new((x + 11, y), 5, BLACK.filled()));
        if self.legend {
            let position = match self.field {
                "delivered_share" => SeriesLabelPosition::LowerRight,
                _ => SeriesLabelPosition::UpperRight,
            };
            chart
                .configure_series_labels()
                .position(position)
                .background_style(WHITE.mix(0.9))
                .border_style(RGBColor(200, 200, 200))
                .label_font(("sans-serif", 14))
                .draw()?;
        }
        Ok(())
    }
}
