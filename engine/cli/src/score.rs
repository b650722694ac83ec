//! `vpp score`.

use crate::say::say;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};
use vpp_market_adapters::regulation::composite::CompositeRules;
use vpp_market_adapters::regulation::performance::PerformanceRules;
use vpp_market_adapters::regulation::{Record, Sample};

/// Score how well a regulation signal was followed, by a market's rule.
///
/// FILE is CSV with the columns `time_s`, `asked_kw` (positive: draw less) and `got_kw` (baseline less draw).
///
/// Examples:
///
///   vpp score followed.csv --rated-kw 2000 --rules hunan-2025 --price 12
///
///   vpp score followed.csv --rated-kw 2000 --rules pjm-performance --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// What was asked for and what the meter showed.
    file: PathBuf,
    /// The most that may be asked for, up or down, kW.
    #[arg(long)]
    rated_kw: f64,
    /// Rule pack: hunan-2025, southern-2025 (unverified) or pjm-performance.
    #[arg(long, default_value = "hunan-2025")]
    rules: String,
    /// Clearing price of mileage, CNY/MW: with it the fee is worked out.
    #[arg(long)]
    price: Option<rust_decimal::Decimal>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let record = read(&arguments.file, arguments.rated_kw)?;
    let pjm = PerformanceRules::pjm();
    let rows = if pjm.pack().is_meant_by(&arguments.rules) {
        anyhow::ensure!(
            arguments.price.is_none(),
            "--price: {} is a score, not a fee",
            pjm.pack()
        );
        performance(pjm, &record)?
    } else if let Some(rules) = CompositeRules::by_name(&arguments.rules) {
        composite(rules, &record, arguments)
    } else {
        let known = CompositeRules::known().iter().map(CompositeRules::pack);
        let known: Vec<String> = known.chain([pjm.pack()]).map(ToString::to_string).collect();
        anyhow::bail!(
            "--rules: there is no pack {:?}; known: {}",
            arguments.rules,
            known.join(", ")
        );
    };
    if arguments.json {
        let object: serde_json::Map<String, Value> = rows
            .into_iter()
            .map(|(name, value)| (name.replace(' ', "_"), value))
            .collect();
        say!("{}", Value::Object(object));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    for (name, value) in rows {
        let text = value.as_str().map_or(value.to_string(), str::to_owned);
        table.add_row([name, text]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say!("{table}");
    Ok(ExitCode::SUCCESS)
}

const COLUMNS: [&str; 3] = ["time_s", "asked_kw", "got_kw"];

fn read(path: &Path, rated_kw: f64) -> anyhow::Result<Record> {
    let name = path.display();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .with_context(|| format!("{name}"))?;
    let header = reader.headers().with_context(|| format!("{name}"))?;
    anyhow::ensure!(
        header.iter().eq(COLUMNS),
        "{name}: line 1: the columns must be {}",
        COLUMNS.join(",")
    );
    let rows = reader.deserialize::<(f64, f64, f64)>();
    let mut samples = Vec::new();
    for row in rows {
        let (at_s, asked_kw, got_kw) = row.with_context(|| format!("{name}"))?;
        samples.push(Sample {
            at_s,
            asked_kw,
            got_kw,
        });
    }
    Record::new(rated_kw, samples).with_context(|| format!("{name}"))
}

type Rows = Vec<(String, Value)>;

fn composite(rules: &CompositeRules, record: &Record, arguments: &Arguments) -> Rows {
    let score = rules.score(record);
    #[allow(clippy::cast_precision_loss)] // commands are few
    let mean = |of: fn(&vpp_market_adapters::regulation::composite::CommandScore) -> f64| {
        let sum: f64 = score.commands.iter().map(of).sum();
        json!(round(sum / score.commands.len().max(1) as f64))
    };
    let sure = if rules.is_sourced() {
        "every figure is quoted from the rule"
    } else {
        "some figures are stand-ins: not the rule"
    };
    let mut rows = vec![
        ("rules".to_owned(), json!(rules.pack().to_string())),
        ("status".into(), json!(sure)),
        ("effective commands".into(), json!(score.commands.len())),
        ("k1 ramp".into(), mean(|command| command.k1)),
        ("k2 response".into(), mean(|command| command.k2)),
        ("k3 precision".into(), mean(|command| command.k3)),
        ("k".into(), json!(score.k.map(|k| k.to_string()))),
        ("admitted".into(), json!(score.admitted)),
        ("mileage mw".into(), json!(round(score.mileage_kw / 1e3))),
    ];
    if let Some(price) = arguments.price {
        let fee = rules.fee(&score, price).as_cny();
        rows.push(("fee cny".into(), json!(fee.to_string())));
    }
    rows
}

fn performance(rules: &PerformanceRules, record: &Record) -> anyhow::Result<Rows> {
    let score = rules.score(record)?;
    Ok(vec![
        ("rules".into(), json!(rules.pack().to_string())),
        ("accuracy".into(), json!(round(score.accuracy))),
        ("delay".into(), json!(round(score.delay))),
        ("precision".into(), json!(round(score.precision))),
        ("score".into(), json!(round(score.score))),
        ("passed".into(), json!(score.passed)),
    ])
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn a_file_is_read_and_scored() {
        let good =
            file("time_s,asked_kw,got_kw\n0,5000,0\n6,5000,0\n16, 5000, 5000\n60,5000,5000\n");
        let arguments = Arguments {
            file: good.path().into(),
            rated_kw: 10_000.0,
            rules: "hunan-2025".into(),
            price: Some("12".parse().expect("a number")),
            json: true,
        };
        let record = read(&arguments.file, arguments.rated_kw).expect("sound");
        let rules = CompositeRules::by_name("hunan-2025").expect("known");
        let rows = composite(rules, &record, &arguments);
        // The same by hand in the adapter's tests.
        assert!(rows.contains(&("k".into(), json!("1.77"))), "{rows:?}");
        assert!(
            rows.contains(&("fee cny".into(), json!("106.20"))),
            "{rows:?}"
        );
        assert!(main(&arguments).is_ok());
        let unknown = Arguments {
            rules: "nowhere-1999".into(),
            ..arguments
        };
        let error = main(&unknown).expect_err("unknown").to_string();
        assert!(error.contains("southern-2025"), "{error}");
    }

    #[test]
    fn a_bad_file_is_refused_with_the_place() {
        for (text, place) in [
            ("time_s,asked_kw,got_kw\n0,1,1\n1,x,1\n", "line: 3"),
            ("time_s,got_kw,asked_kw\n0,1,1\n1,1,1\n", "line 1"),
            ("time_s,asked_kw,got_kw\n0,1,1\n0,1,1\n", "samples[1].at_s"),
            (
                "time_s,asked_kw,got_kw\n0,1,1\n1,NaN,1\n",
                "samples[1].asked_kw",
            ),
            ("time_s,asked_kw,got_kw\n", "samples"),
        ] {
            let bad = file(text);
            let error = read(bad.path(), 1.0).expect_err("refused");
            assert!(format!("{error:#}").contains(place), "{error:#}");
        }
    }
}
