//! A real regulation signal followed by V2G stations that lag: the engine's closed loop beside simpler ways to share a
//! signal out, on the same stations and the same signal.

mod controllers;
mod plant;

use std::path::PathBuf;

use anyhow::Context as _;
use chrono::TimeDelta;
use serde_json::{Value, json};
use vpp_market_adapters::regulation::composite::CompositeRules;
use vpp_market_adapters::regulation::performance::PerformanceRules;
use vpp_market_adapters::regulation::{Record, Sample};

use crate::support::{self, round};
use controllers::{ClosedLoop, Controller, EqualShare, Foresight, OpenLoop, Proportional};
use plant::{Make, Plant};

/// Seconds from one value of the signal to the next.
const PERIOD_S: f64 = 2.0;
/// How late PJM's score lets a response be.
const FORGIVEN: TimeDelta = TimeDelta::seconds(10);
/// What all stations together may be asked for, up and down, as a share of their room.
const AWARD: f64 = 0.8;

/// What to follow with what.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stations, with time constants from 1 to 10 s.
    #[arg(long, default_value_t = 10)]
    stations: usize,
    /// Seconds between a command and the first movement.
    #[arg(long, default_value_t = 1.0)]
    dead_time: f64,
    /// A signal of one's own: a value every 2 s, -1 to 1, the last column of each line of a CSV file. Without it: five
    /// minutes of PJM's RegD signal from the pilot scenario, over and over for half an hour.
    #[arg(long)]
    signal: Option<PathBuf>,
    /// Seconds to follow it.
    #[arg(long, default_value_t = 1_800)]
    seconds: u32,
}

pub(crate) fn measure(asked: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    let signal = signal(asked)?;
    let makes = [
        ("all do as told", Make::Obedient),
        ("one in five is saturated, lies or is weak", Make::Mixed),
    ];
    for (name, make) in makes {
        let plant = || Plant::new(asked.stations, asked.dead_time, make);
        let mut controllers: Vec<Box<dyn Controller>> = vec![
            Box::new(ClosedLoop::new(&plant(), TimeDelta::zero())?),
            Box::new(ClosedLoop::new(&plant(), FORGIVEN)?),
            Box::new(EqualShare),
            Box::new(Proportional),
            Box::new(OpenLoop::new(&plant())?),
            Box::new(Foresight),
        ];
        for controller in &mut controllers {
            let record = follow(controller.as_mut(), plant(), &signal)?;
            let mut row = row(name, controller.name(), asked, &record)?;
            let mut times = controller.decisions_ms().to_vec();
            times.sort_by(f64::total_cmp);
            if !times.is_empty() {
                row["decision_median_ms"] = json!(round(times[times.len() / 2]));
                row["decision_p99_ms"] = json!(round(times[times.len() * 99 / 100]));
            }
            print(&row);
        }
    }
    Ok(())
}

fn signal(asked: &Arguments) -> anyhow::Result<Vec<f64>> {
    let values: Vec<f64> = if let Some(path) = &asked.signal {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let last = |line: &str| line.rsplit(',').next()?.trim().parse().ok();
        text.lines().filter_map(last).collect()
    } else {
        let pilot = support::pilot()?;
        pilot.regulation.context("the pilot has a signal")?.signal
    };
    anyhow::ensure!(
        !values.is_empty() && values.iter().all(|value| value.abs() <= 1.0),
        "the signal needs values from -1 to 1"
    );
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = (f64::from(asked.seconds) / PERIOD_S) as usize;
    Ok(values.iter().copied().cycle().take(count).collect())
}

/// Follows a signal; what was asked for and what the meters showed, every period.
fn follow(
    controller: &mut dyn Controller,
    mut plant: Plant,
    signal: &[f64],
) -> anyhow::Result<Record> {
    let award = AWARD * plant.room_kw();
    controller.begin(&mut plant, award)?;
    let mut samples = Vec::new();
    for (k, value) in signal.iter().enumerate() {
        let asked_kw = value * award;
        #[allow(clippy::cast_precision_loss)]
        let at_s = k as f64 * PERIOD_S;
        let got_kw = controller.baseline_kw(&plant) - plant.draw_kw();
        samples.push(Sample {
            at_s,
            asked_kw,
            got_kw,
        });
        controller.follow(&mut plant, *value, asked_kw)?;
        plant.live(PERIOD_S);
    }
    Ok(Record::new(award, samples)?)
}

fn row(
    stations: &str,
    controller: &str,
    asked: &Arguments,
    record: &Record,
) -> anyhow::Result<Value> {
    let samples = record.samples();
    // What a value led to shows when the next one comes.
    let pairs = || samples.windows(2);
    let distance: f64 = pairs().map(|p| (p[1].got_kw - p[0].asked_kw).abs()).sum();
    let magnitude: f64 = pairs().map(|p| p[0].asked_kw.abs()).sum();
    let performance = PerformanceRules::pjm().score(record)?;
    let hunan = CompositeRules::by_name("hunan-2025").context("a pack of the crate")?;
    // A command is what is asked for over 10 s here: the rule is made for steps, the signal moves all the time.
    let steps: Vec<Sample> = (0..samples.len())
        .map(|k| Sample {
            asked_kw: samples[k - k % 5].asked_kw,
            ..samples[k]
        })
        .collect();
    let composite = hunan.score(&Record::new(record.rated_kw(), steps)?);
    Ok(json!({
        "bench": "tracking",
        "stations": stations,
        "count": asked.stations,
        "dead_time_s": asked.dead_time,
        "controller": controller,
        "error_share": round(distance / magnitude),
        "pjm_score": round(performance.score),
        "pjm_accuracy": round(performance.accuracy),
        "pjm_delay": round(performance.delay),
        "pjm_precision": round(performance.precision),
        "hunan_k": composite.k.map(|k| k.to_string()),
    }))
}
