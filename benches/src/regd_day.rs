//! A real day of PJM's RegD signal, from bid to score to money, with the resources and prices of a published study.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};
use vpp_replay::market_day::{Asset, DayResult, MarketDay, Store};

use crate::support::round;

/// What the study publishes for its day, USD: Chen, Lyu, Guo and Su, Applied Energy 361 (2024) 122876; 120 vehicles. Its
/// "all" has thermal loads and a factory as well, which the data here do not.
const PUBLISHED: [(&str, f64); 3] = [
    ("vehicles", 2_954.0),
    ("storage", 2_681.0),
    ("all", 10_201.0),
];
/// For how long its bids keep up the extremes, h.
const SUSTAIN_H: f64 = 0.5;
/// One step in so many is not counted in its mileage: it sums up in blocks of a minute.
const BLOCK: f64 = 30.0;

/// Whose day.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder with the signal, prices, parameters and vehicles.
    #[arg(long, default_value = "../shared/data/regd-ev-vpp")]
    data: PathBuf,
    /// Vehicles: 120 (those of the study) or 600.
    #[arg(long, value_delimiter = ',', default_value = "120,600")]
    vehicles: Vec<usize>,
    /// A row for each hour as well.
    #[arg(long)]
    hours: bool,
}

pub(crate) fn measure(asked: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    for &count in &asked.vehicles {
        let data = Data::read(&asked.data, count)?;
        let sets: [(&str, Vec<Asset>); 4] = [
            ("vehicles", data.vehicles()?),
            ("storage", vec![data.storage()?]),
            ("sun", vec![data.sun()?]),
            ("all", {
                let mut all = data.vehicles()?;
                all.push(data.storage()?);
                all.push(data.sun()?);
                all
            }),
        ];
        for (name, assets) in sets {
            if name != "vehicles" && name != "all" && count != asked.vehicles[0] {
                continue;
            }
            let begun = std::time::Instant::now();
            let mut day = data.day(assets)?;
            let result = day.run(|_| {})?;
            let seconds = begun.elapsed().as_secs_f64();
            know(&mut day);
            let hindsight = day.expected_profit()?;
            if asked.hours {
                hours(name, count, &result).iter().for_each(&print);
            }
            let mut row = row(name, count, &result, seconds);
            row["profit_at_own_score_usd"] = json!(round(day.profit_at_own_score(&result)));
            row["best_bid_with_hindsight_usd"] = json!(round(hindsight));
            print(&row);
        }
    }
    Ok(())
}

/// Lets the bid know what came: each hour's signal and mileage.
fn know(day: &mut MarketDay) {
    let in_hour = day.signal.len() / day.energy_price.len();
    let hours = || day.signal.chunks(in_hour);
    let mileage = |hour: &[f64]| hour.windows(2).map(|p| (p[1] - p[0]).abs()).sum();
    day.expected_shares = hours().map(shares).collect();
    day.expected_mileage = hours().map(mileage).collect();
}

fn row(name: &str, count: usize, day: &DayResult, seconds: f64) -> Value {
    let sum = |of: fn(&vpp_replay::market_day::IntervalResult) -> f64| -> f64 {
        day.intervals.iter().map(of).sum()
    };
    let mileage = sum(|hour| hour.mileage_income);
    let scores: Vec<f64> = day.intervals.iter().filter_map(|hour| hour.score).collect();
    #[allow(clippy::cast_precision_loss)] // a count of hours
    let score = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let published = PUBLISHED.iter().find(|(of, _)| *of == name && count == 120);
    let income = sum(|hour| hour.capacity_income) + mileage;
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
        "energy_usd": round(sum(|hour| hour.energy_income)),
        "capacity_usd": round(sum(|hour| hour.capacity_income)),
        "mileage_usd": round(mileage),
        "wear_usd": round(sum(|hour| hour.wear)),
        "mean_pjm_score": round(score),
        "worst_error_kw": round(day.intervals.iter().map(|h| h.worst_error_kw).fold(0.0, f64::max)),
        "unmet_kwh": round(day.unmet_kwh),
        "seconds": round(seconds),
    })
}

fn hours(name: &str, count: usize, day: &DayResult) -> Vec<Value> {
    let row = |(hour, result): (usize, &vpp_replay::market_day::IntervalResult)| {
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

/// What the folder holds, in kW, kWh and USD.
struct Data {
    parameters: Value,
    energy_price: Vec<f64>,
    capacity_price: Vec<f64>,
    mileage_price: Vec<f64>,
    mileage: Vec<f64>,
    signal: Vec<f64>,
    /// Hours plugged in, and how many vehicles are so.
    plugged: BTreeMap<Vec<bool>, usize>,
}

impl Data {
    fn read(folder: &Path, vehicles: usize) -> anyhow::Result<Data> {
        let prices = table(&text(&folder.join("hourly_prices.csv"))?)?;
        let column = |at: usize, factor: f64| prices.iter().map(|row| row[at] * factor).collect();
        let signal = table(&text(&folder.join("regd_signal_2s.csv.gz"))?)?;
        let file = folder.join(format!("ev_plugged_in_{vehicles}.csv.gz"));
        let mut plugged = BTreeMap::new();
        for row in table(&text(&file)?)? {
            let hours = row[1..].iter().map(|plugged| *plugged > 0.5).collect();
            *plugged.entry(hours).or_insert(0) += 1;
        }
        Ok(Data {
            parameters: serde_json::from_str(&text(&folder.join("parameters.json"))?)?,
            energy_price: column(1, 1e-3),
            capacity_price: column(2, 1e-3),
            mileage_price: column(3, 1e-3),
            mileage: column(4, 1.0),
            signal: signal.iter().map(|row| row[1].clamp(-1.0, 1.0)).collect(),
            plugged,
        })
    }

    /// A number of the parameters; those of power and energy in MW and MWh.
    fn number(&self, of: &str, name: &str) -> anyhow::Result<f64> {
        let value = self.parameters[of][name].as_f64();
        value.with_context(|| format!("parameters.json: no number {of}.{name}"))
    }

    /// Vehicles that are plugged in for the same hours are all alike.
    fn vehicles(&self) -> anyhow::Result<Vec<Asset>> {
        let of = |name: &str| self.number("electric_vehicle", name);
        let group = |(hours, &count): (&Vec<bool>, &usize)| {
            #[allow(clippy::cast_precision_loss)] // a count of vehicles
            let all = 1e3 * count as f64;
            let power = |kw: f64| -> Vec<f64> {
                hours.iter().map(|on| if *on { kw } else { 0.0 }).collect()
            };
            let last = hours.iter().rposition(|on| *on);
            Ok(Asset {
                name: format!("{count} vehicles"),
                charge_max_kw: power(of("power_ch_upper_limit")? * all),
                discharge_max_kw: power(of("power_dis_upper_limit")? * all),
                store: Some(Store {
                    initial_kwh: of("energy_init")? * all,
                    least_kwh: of("energy_lower_limit")? * all,
                    greatest_kwh: of("energy_upper_limit")? * all,
                    due: last
                        .map(|hour| Ok::<_, anyhow::Error>((hour, of("energy_end")? * all)))
                        .transpose()?,
                    charge_efficiency: of("eta_ch")?,
                    discharge_efficiency: of("eta_dis")?,
                }),
                charge_wear: of("pr_ch")? * 1e-3,
                discharge_wear: of("pr_dis")? * 1e-3,
            })
        };
        self.plugged.iter().map(group).collect()
    }

    /// It ends the day as it began it.
    fn storage(&self) -> anyhow::Result<Asset> {
        let of = |name: &str| self.number("energy_storage", name);
        let hours = self.energy_price.len();
        let initial_kwh = of("energy_init")? * 1e3;
        Ok(Asset {
            name: "storage".into(),
            charge_max_kw: vec![of("power_ch_upper_limit")? * 1e3; hours],
            discharge_max_kw: vec![of("power_dis_upper_limit")? * 1e3; hours],
            store: Some(Store {
                initial_kwh,
                least_kwh: of("energy_lower_limit")? * 1e3,
                greatest_kwh: of("energy_upper_limit")? * 1e3,
                due: Some((hours - 1, initial_kwh)),
                charge_efficiency: of("eta_ch")?,
                discharge_efficiency: of("eta_dis")?,
            }),
            charge_wear: of("pr_ch")? * 1e-3,
            discharge_wear: of("pr_dis")? * 1e-3,
        })
    }

    /// Panels, which may give less than they can.
    fn sun(&self) -> anyhow::Result<Asset> {
        let limits = self.parameters["pv_power_limit_mw_by_hour"].as_array();
        let limits = limits.context("parameters.json: no pv_power_limit_mw_by_hour")?;
        let most = limits.iter().map(|limit| limit.as_f64().map(|mw| mw * 1e3));
        let most: Option<Vec<f64>> = most.collect();
        Ok(Asset {
            name: "sun".into(),
            charge_max_kw: vec![0.0; limits.len()],
            discharge_max_kw: most.context("pv_power_limit_mw_by_hour: not all are numbers")?,
            store: None,
            charge_wear: 0.0,
            discharge_wear: 0.0,
        })
    }

    fn day(&self, assets: Vec<Asset>) -> anyhow::Result<MarketDay> {
        Ok(MarketDay {
            assets,
            interval_h: 1.0,
            energy_price: self.energy_price.clone(),
            capacity_price: self.capacity_price.clone(),
            mileage_price: self.mileage_price.clone(),
            expected_mileage: self.mileage.clone(),
            levels: levels(),
            expected_shares: vec![expected(&self.signal); self.energy_price.len()],
            expected_score: self.number("electric_vehicle", "performance_score_assumed")?,
            sustain_h: SUSTAIN_H,
            signal: self.signal.clone(),
        })
    }
}

/// Levels of the signal, tenths apart; full signals are levels of their own: what must be sustained.
const STEPS: usize = 10;

#[allow(clippy::cast_precision_loss)] // small counts
fn levels() -> Vec<f64> {
    let up = (0..=STEPS).map(|at| ((at as f64 + 0.5) / STEPS as f64).min(1.0));
    up.flat_map(|level| [level, -level]).collect()
}

/// How often a signal is at each level.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn shares(signal: &[f64]) -> Vec<f64> {
    let mut shares = vec![0.0; 2 * (STEPS + 1)];
    for value in signal {
        let level = if value.abs() > 0.9999 {
            STEPS
        } else {
            (value.abs() * STEPS as f64) as usize
        };
        shares[2 * level + usize::from(*value < 0.0)] += 1.0 / signal.len() as f64;
    }
    shares
}

/// What can be known the day before: how far from zero a signal of this kind is how often, up and down alike and the same
/// in every hour. The study takes the shares of each hour from the fourteen days before, which the data here do not have.
fn expected(signal: &[f64]) -> Vec<f64> {
    let mut shares = shares(signal);
    for pair in shares.chunks_mut(2) {
        pair.fill(0.5 * (pair[0] + pair[1]));
    }
    shares
}

/// A file's text, unpacked if need be.
fn text(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("{name}"))?;
    let mut text = String::new();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(file).read_to_string(&mut text)
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text)
    }
    .with_context(|| format!("{name}"))?;
    Ok(text)
}

/// Numbers below a header.
fn table(text: &str) -> anyhow::Result<Vec<Vec<f64>>> {
    let rows = text.lines().skip(1).enumerate();
    rows.map(|(row, line)| {
        let numbers = line.split(',').map(|cell| cell.trim().parse());
        numbers
            .collect::<Result<_, _>>()
            .with_context(|| format!("line {}: {line:?}", row + 2))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public data stand beside the project.
    #[test]
    fn the_real_day_earns_nearly_what_hindsight_would() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/regd-ev-vpp");
        let data = Data::read(&data, 120).expect("the data are there");
        let mut day = data
            .day(data.vehicles().expect("three groups"))
            .expect("a day");
        assert_eq!((day.assets.len(), day.signal.len()), (3, 43_200));
        let result = day.run(|_| {}).expect("bids");
        let found = row("vehicles", 120, &result, 0.0);
        let number = |name: &str| found[name].as_f64().expect(name);
        know(&mut day);
        let hindsight = day.expected_profit().expect("a bid");
        // Measured when written: 1,636 of 1,753 USD; of the regulation income published, 97.7 %.
        assert!(number("profit_usd") > 0.9 * hindsight, "{found}");
        assert!(number("profit_usd") < hindsight, "{found}");
        assert!(number("ratio") > 0.95, "{found}");
        assert!(number("mean_pjm_score") > 0.99, "{found}");
        assert!(number("unmet_kwh") < 1e-3, "{found}");
    }
}
