//! A real day of PJM's RegD signal, from bid to score to money, with the resources and prices of a published study.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vpp_replay::market_day::file::MarketDayFile;
use vpp_replay::market_day::{DayResult, IntervalResult};

use crate::support::round;

/// What the study publishes for its day, USD: Chen, Lyu, Guo and Su, Applied Energy 361 (2024) 122876; 120 vehicles. Its
/// "all" has thermal loads and a factory as well, which the data here do not.
const PUBLISHED: [(&str, f64); 3] = [
    ("vehicles", 2_954.0),
    ("storage", 2_681.0),
    ("all", 10_201.0),
];
/// One step in so many is not counted in its mileage: it sums up in blocks of a minute.
const BLOCK: f64 = 30.0;

/// Whose day.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The day; its data stand beside the project.
    #[arg(long, default_value = "scenarios/regd-day.toml")]
    file: PathBuf,
    /// Vehicles: 120 (those of the study) or 600.
    #[arg(long, value_delimiter = ',', default_value = "120,600")]
    vehicles: Vec<usize>,
    /// A row for each hour as well.
    #[arg(long)]
    hours: bool,
}

/// Names of what each row has; none is all.
const SETS: [(&str, &[&str]); 4] = [
    ("vehicles", &["vehicles"]),
    ("storage", &["storage"]),
    ("sun", &["sun"]),
    ("all", &[]),
];

pub(crate) fn measure(asked: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    for &count in &asked.vehicles {
        let mut file = MarketDayFile::read(&asked.file)?;
        file.plug_in_by(Path::new(&format!("ev_plugged_in_{count}.csv.gz")));
        for (name, groups) in SETS {
            let driven = groups.is_empty() || groups.contains(&"vehicles");
            if !driven && count != asked.vehicles[0] {
                continue;
            }
            let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
            let day = file.load(&groups)?;
            let begun = std::time::Instant::now();
            let result = day.run(|_| {})?;
            let seconds = begun.elapsed().as_secs_f64();
            let count = driven.then_some(count);
            if asked.hours {
                hours(name, count, &result).iter().for_each(&print);
            }
            let mut row = row(name, count, &result, seconds);
            row["profit_at_own_score_usd"] = json!(round(day.profit_at_own_score(&result)));
            let hindsight = day.in_hindsight().expected_profit()?;
            row["best_bid_with_hindsight_usd"] = json!(round(hindsight));
            print(&row);
        }
    }
    Ok(())
}

fn row(name: &str, count: Option<usize>, day: &DayResult, seconds: f64) -> Value {
    let mileage = day.sum(|hour| hour.mileage_income);
    let published = PUBLISHED
        .iter()
        .find(|(of, _)| *of == name && count.is_none_or(|count| count == 120));
    let income = day.sum(|hour| hour.capacity_income) + mileage;
    // A step between blocks is left out there.
    let as_published = income - mileage / BLOCK;
    json!({
        "bench": "regd-day",
        "resources": name,
        "vehicles": count,
        "profit_usd": round(day.profit()),
        "regulation_income_usd": round(income),
        "regulation_income_counted_as_published_usd": round(as_published),
        "published_usd": published.map(|(_, usd)| usd),
        "ratio": published.map(|(_, usd)| round(as_published / usd)),
        "expected_at_midnight_usd": round(day.expected_profit),
        "energy_usd": round(day.sum(|hour| hour.energy_income)),
        "capacity_usd": round(day.sum(|hour| hour.capacity_income)),
        "mileage_usd": round(mileage),
        "wear_usd": round(day.sum(|hour| hour.wear)),
        "mean_pjm_score": day.mean_score().map(round),
        "worst_error_kw": round(day.intervals.iter().map(|h| h.worst_error_kw).fold(0.0, f64::max)),
        "unmet_kwh": round(day.unmet_kwh),
        "seconds": round(seconds),
    })
}

fn hours(name: &str, count: Option<usize>, day: &DayResult) -> Vec<Value> {
    let row = |(hour, result): (usize, &IntervalResult)| {
        json!({
            "bench": "regd-day hour",
            "resources": name,
            "vehicles": count,
            "hour": hour,
            "base_kw": round(result.offer.base_kw),
            "capacity_kw": round(result.offer.capacity_kw),
            "drawn_kwh": round(result.drawn_kwh),
            "energy_usd": round(result.energy_income),
            "capacity_usd": round(result.capacity_income),
            "mileage_usd": round(result.mileage_income),
            "wear_usd": round(result.wear),
            "pjm_score": result.score.map(round),
        })
    };
    day.intervals.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public data stand beside the project.
    #[test]
    fn the_real_day_earns_nearly_what_hindsight_would() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/regd-day.toml");
        let file = MarketDayFile::read(&file).expect("a day");
        let day = file.load(&["vehicles".into()]).expect("the data are there");
        assert_eq!((day.assets.len(), day.signal.len()), (3, 43_200));
        let result = day.run(|_| {}).expect("bids");
        let found = row("vehicles", Some(120), &result, 0.0);
        let number = |name: &str| found[name].as_f64().expect(name);
        let hindsight = day.in_hindsight().expected_profit().expect("a bid");
        // Measured when written: 1,636 of 1,753 USD; of the regulation income published, 97.7 %.
        assert!(number("profit_usd") > 0.9 * hindsight, "{found}");
        assert!(number("profit_usd") < hindsight, "{found}");
        assert!(number("ratio") > 0.95, "{found}");
        assert!(number("mean_pjm_score") > 0.99, "{found}");
        assert!(number("unmet_kwh") < 1e-3, "{found}");
    }
}
