//! What a capability test showed: a table, JSON, and a page that opens from disk.

use std::fmt::Write as _;
use std::path::Path;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use plotters::prelude::*;
use serde_json::{Value, json};
use vpp_market_adapters::capability::{Capability, CapabilityRules, Purpose, StepResult};
use vpp_market_adapters::regulation::Sample;

use super::Promised;
use crate::say::say;
use vpp_results::files;

pub(super) struct Report<'a> {
    pub(super) name: String,
    pub(super) rules: &'a CapabilityRules,
    pub(super) purpose: Purpose,
    pub(super) promised: Promised,
    /// All steps, in the order of time.
    pub(super) results: Vec<StepResult>,
    pub(super) capability: Capability,
    pub(super) trace: Vec<Sample>,
}

/// What is written.
pub(super) const FILES: [&str; 3] = ["report.html", "report.json", "trace.csv"];

const COLUMNS: [&str; 9] = [
    "step",
    "asked kW",
    "kept kW",
    "response s",
    "ramp kW/min",
    "settled s",
    "deviation %",
    "within band s",
    "to the end",
];

fn or_never(value: Option<f64>, digits: usize) -> String {
    value.map_or("never".into(), |value| format!("{value:.digits$}"))
}

fn cells(result: &StepResult) -> [String; 9] {
    [
        format!("{:+.0} %", result.share * 100.0),
        format!("{:+.1}", result.target_kw),
        format!("{:+.1}", result.kept_kw * result.target_kw.signum()),
        or_never(result.response_s, 0),
        or_never(result.ramp_kw_per_min, 0),
        or_never(result.settled_s, 0),
        format!("{:+.2}", result.deviation * 100.0),
        format!("{:.0}", result.sustain_s),
        if result.left || result.settled_s.is_none() {
            "no"
        } else {
            "yes"
        }
        .into(),
    ]
}

fn object(result: &StepResult) -> Value {
    json!({
        "repetition": result.repetition,
        "share": result.share,
        "target_kw": result.target_kw,
        "kept_kw": result.kept_kw,
        "response_s": result.response_s,
        "ramp_kw_per_min": result.ramp_kw_per_min,
        "settled_s": result.settled_s,
        "deviation": result.deviation,
        "sustain_s": result.sustain_s,
        "left_band": result.left,
    })
}

impl Report<'_> {
    fn band(&self) -> f64 {
        self.rules.band(self.purpose)
    }

    /// Figures of the whole: name, value, what would be admitted, whether it is.
    fn whole(&self) -> Vec<(&'static str, String, String, Option<bool>)> {
        let capability = &self.capability;
        let [connected, adjustable, ramp, sustain] = self.rules.admission();
        let got_ramp = capability.ramp_per_min;
        let mw = |kw: f64| format!("{:.2} MW", kw / 1e3);
        let at_least = |text: String| format!("at least {text}");
        vec![
            (
                "connected",
                mw(self.promised.connected_kw),
                at_least(mw(connected)),
                Some(self.promised.connected_kw >= connected),
            ),
            (
                "callable, as promised (up, down)",
                format!("{}, {}", mw(self.promised.up_kw), mw(self.promised.down_kw)),
                String::new(),
                None,
            ),
            (
                "measured by this test (up, down)",
                format!(
                    "{}, {}",
                    mw(capability.kept_kw[0]),
                    mw(capability.kept_kw[1])
                ),
                String::new(),
                None,
            ),
            (
                "kept of what was promised, worse direction",
                format!("{:.1} %", capability.kept_share() * 100.0),
                String::new(),
                None,
            ),
            (
                "adjustable (up and down)",
                mw(capability.adjustable_kw()),
                at_least(mw(adjustable)),
                Some(capability.adjustable_kw() >= adjustable),
            ),
            (
                "ramp, of what is adjustable",
                or_never(got_ramp.map(|ramp| ramp * 100.0), 0) + " %/min",
                at_least(format!("{:.0} %/min", ramp * 100.0)),
                Some(got_ramp.is_some_and(|got| got >= ramp)),
            ),
            (
                "kept within the band",
                format!("{:.0} s", capability.sustain_s),
                at_least(format!("{sustain:.0} s")),
                // A test shorter than what is asked for shows neither.
                (capability.sustain_s >= sustain || self.results.iter().any(|r| r.left))
                    .then_some(capability.sustain_s >= sustain),
            ),
        ]
    }

    fn json(&self) -> Value {
        let capability = &self.capability;
        json!({
            "tested": self.name,
            "rules": self.rules.pack().to_string(),
            "band": self.band(),
            "stations": self.promised.stations,
            "connected_kw": self.promised.connected_kw,
            "promised_up_kw": self.promised.up_kw,
            "promised_down_kw": self.promised.down_kw,
            "tested_up_kw": capability.kept_kw[0],
            "tested_down_kw": capability.kept_kw[1],
            "kept_share": capability.kept_share(),
            "adjustable_kw": capability.adjustable_kw(),
            "ramp_per_min": capability.ramp_per_min,
            "sustain_s": capability.sustain_s,
            "worst": capability.worst.iter().map(object).collect::<Vec<_>>(),
            "steps": self.results.iter().map(object).collect::<Vec<_>>(),
        })
    }

    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            say!("{}", self.json());
            return;
        }
        let table = |header: Option<&[&str]>| {
            let mut table = Table::new();
            table.load_style(UTF8_FULL_CONDENSED);
            if let Some(header) = header {
                table.set_header(header);
            }
            table
        };
        say!(
            "{}: {} stations, band ±{:.0} %, rules {}; of each step the worst repetition",
            self.name,
            self.promised.stations,
            self.band() * 100.0,
            self.rules.pack()
        );
        let mut steps = table(Some(&COLUMNS));
        for result in &self.capability.worst {
            steps.add_row(cells(result));
        }
        for column in steps.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        say!("{steps}");
        let mut whole = table(None);
        for (name, value, bound, holds) in self.whole() {
            whole.add_row([name.into(), value, verdict(&bound, holds)]);
        }
        say!("{whole}");
    }

    /// Writes [`FILES`].
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let [page, json, trace] = FILES.map(|name| folder.join(name));
        files::write(&json, serde_json::to_string_pretty(&self.json())? + "\n")?;
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["time_s", "asked_kw", "got_kw"])?;
        for sample in &self.trace {
            csv.serialize((sample.at_s, sample.asked_kw, sample.got_kw))?;
        }
        files::write(&trace, csv.into_inner()?)?;
        files::write(&page, self.page()?)?;
        Ok(())
    }

    fn page(&self) -> anyhow::Result<String> {
        let mut rows = String::new();
        for (name, value, bound, holds) in self.whole() {
            let class = match holds {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            };
            write!(
                rows,
                "<tr><th>{name}</th><td>{value}</td><td class=\"{class}\">{}</td></tr>",
                verdict(&bound, holds)
            )?;
        }
        let head: String = COLUMNS
            .iter()
            .map(|name| format!("<th>{name}</th>"))
            .collect();
        let line = |result: &StepResult| {
            let cells = cells(result);
            let cells: String = cells
                .iter()
                .map(|cell| format!("<td>{cell}</td>"))
                .collect();
            format!("<tr>{cells}</tr>")
        };
        let worst: String = self.capability.worst.iter().map(line).collect();
        let all: String = self.results.iter().map(line).collect();
        Ok(format!(
            r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<title>Capability test: {name}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; color: #222; background: #fff }}
main {{ max-width: 70rem; margin: 2rem auto; padding: 0 1rem }}
h1, p {{ overflow-wrap: anywhere }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.1rem; margin-top: 2rem }}
svg {{ width: 100%; height: auto }}
.wide {{ overflow-x: auto }} .plot svg {{ min-width: 44rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: right; font-weight: normal; white-space: nowrap }}
tr th:first-child {{ text-align: left }} thead th {{ color: #666 }}
.yes {{ color: #00623c }} .no {{ color: #b3261e }}
p {{ color: #555 }}
@media print {{
  @page {{ size: A4; margin: 12mm }}
  * {{ -webkit-print-color-adjust: exact; print-color-adjust: exact }}
  body {{ font-size: 11px }} main {{ max-width: none; margin: 0; padding: 0 }} .wide {{ overflow: visible }}
  table {{ font-size: 9px }} th, td {{ padding: 2px 6px }} tr {{ break-inside: avoid }} h1, h2 {{ break-after: avoid }} .plot svg {{ min-width: 0; break-inside: avoid }}
}}
</style></head><body><main>
<h1>Capability test: {name}</h1>
<p>{stations} stations enrolled in regulation, asked together for steps of the capacity that the engine promised. Positive:
draw less. Band ±{band:.0} % of the target; rules <code>{rules}</code>, of which several figures are stand-ins (see the pack).</p>
<div class="wide plot">{plot}</div>
<h2>The whole</h2><div class="wide"><table><tbody>{rows}</tbody></table></div>
<h2>Each step, the worst repetition</h2><div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{worst}</tbody></table></div>
<h2>All steps</h2><div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{all}</tbody></table></div>
</main></body></html>
"#,
            name = escape(&self.name),
            stations = self.promised.stations,
            band = self.band() * 100.0,
            rules = escape(&self.rules.pack().to_string()),
            plot = self.plot()?,
        ))
    }

    fn plot(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (1100, 400)).into_drawing_area();
            root.fill(&WHITE)?;
            let values = || self.trace.iter().flat_map(|s| [s.asked_kw, s.got_kw]);
            let low = values().fold(0.0, f64::min) * 1.1;
            let high = values().fold(0.0, f64::max) * 1.1;
            let end = self.trace.last().map_or(1.0, |s| s.at_s) / 60.0;
            let mut chart = ChartBuilder::on(&root)
                .margin(12)
                .x_label_area_size(40)
                .y_label_area_size(64)
                .build_cartesian_2d(0.0..end, low..high)?;
            chart
                .configure_mesh()
                .x_desc("minutes")
                .y_desc("regulation, kW (positive: draw less)")
                .light_line_style(RGBColor(240, 240, 240))
                .label_style(("sans-serif", 14))
                .draw()?;
            let series =
                |of: fn(&Sample) -> f64| self.trace.iter().map(move |s| (s.at_s / 60.0, of(s)));
            let grey = RGBColor(150, 150, 150);
            let blue = RGBColor(0, 114, 178);
            for (name, colour, line) in [
                (
                    "asked",
                    grey,
                    LineSeries::new(series(|s| s.asked_kw), grey.stroke_width(2)),
                ),
                (
                    "measured",
                    blue,
                    LineSeries::new(series(|s| s.got_kw), blue.stroke_width(1)),
                ),
            ] {
                chart.draw_series(line)?.label(name).legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2))
                });
            }
            chart
                .configure_series_labels()
                .label_font(("sans-serif", 14))
                .background_style(WHITE.mix(0.8))
                .draw()?;
            root.present()?;
        }
        Ok(svg)
    }
}

fn verdict(bound: &str, holds: Option<bool>) -> String {
    match (bound.is_empty(), holds) {
        (true, _) => String::new(),
        (false, Some(true)) => format!("{bound}: yes"),
        (false, Some(false)) => format!("{bound}: no"),
        (false, None) => format!("{bound}: not shown by so short a test"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
