//! Sharing a garage's limit out over its vehicles: ours beside the usual ways, on the same sessions.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)] // a garage is small

mod plot;
mod policies;
mod sessions;

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Value, json};

use policies::{Controller, Policy, Vehicle};
use sessions::{Session, Statistics};

/// Sessions of a garage drawn from the statistics of real ones (ElaadNL), charged under a limit that falls: how much of what
/// was asked for each way of sharing delivers, how many vehicles leave with less, and how often piles are switched.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the statistics.
    #[arg(long, default_value = "../shared/data/elaad-sessions")]
    data: PathBuf,
    /// Whose: private, public or workplace.
    #[arg(long, default_value = "workplace")]
    place: String,
    /// Piles.
    #[arg(long, default_value_t = 54)]
    piles: usize,
    /// Vehicles a day, as far as a pile is free.
    #[arg(long, default_value_t = 60)]
    per_day: usize,
    /// Days.
    #[arg(long, default_value_t = 28)]
    days: usize,
    /// Of the draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Limits, kW.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "20,30,40,50,60,80,100,150"
    )]
    limits_kw: Vec<f64>,
    /// How long a share holds, minutes.
    #[arg(long, default_value_t = 1)]
    period_min: usize,
    /// The least with which a pile charges, A; less is nothing.
    #[arg(long, default_value_t = 6.0)]
    least_a: f64,
    /// Write the sessions here as JSON, for another program.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Draw them here as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// With the rows of another program, one JSON object a line (`charging_peers.py`), beside them.
    #[arg(long, value_name = "FILE", requires = "plot")]
    peers: Option<PathBuf>,
}

/// What all policies have in common.
pub(crate) struct Garage {
    period_min: usize,
    volts: f64,
    most_a: f64,
    least_a: f64,
}

impl Garage {
    fn period_h(&self) -> f64 {
        self.period_min as f64 / 60.0
    }

    fn pile_kw(&self) -> f64 {
        self.most_a * self.volts / 1e3
    }

    fn least_kw(&self) -> f64 {
        self.least_a * self.volts / 1e3
    }

    /// The most that a vehicle draws in a period: by its pile, or by what it still wants.
    fn most_kw(&self, wants_kwh: f64) -> f64 {
        self.pile_kw().min(wants_kwh / self.period_h())
    }
}

/// What came of a policy.
#[derive(Default)]
struct Outcome {
    asked_kwh: f64,
    delivered_kwh: f64,
    /// Vehicles that left with less than 99 % of what they asked for.
    short: usize,
    /// The worst share that a vehicle left with, of those in the worst twentieth: their mean.
    worst_twentieth: f64,
    peak_kw: f64,
    /// Times that a pile was switched on or off in a session, without the first and the last.
    switches: usize,
    worst_excess_kw: f64,
}

pub(crate) fn measure(arguments: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    let garage = Garage {
        period_min: arguments.period_min.max(1),
        volts: 220.0,
        most_a: 32.0,
        least_a: arguments.least_a,
    };
    let statistics = Statistics::load(&arguments.data, &arguments.place)?;
    let sessions = statistics.draw(
        arguments.seed,
        arguments.days,
        arguments.piles,
        arguments.per_day,
        &garage,
    );
    if let Some(path) = &arguments.save {
        let text = json!({
            "period_min": garage.period_min,
            "volts": garage.volts,
            "most_a": garage.most_a,
            "least_a": garage.least_a,
            "piles": arguments.piles,
            "limits_kw": arguments.limits_kw,
            "sessions": sessions,
        });
        std::fs::write(path, text.to_string()).with_context(|| path.display().to_string())?;
    }
    let mut rows = Vec::new();
    for &limit_kw in &arguments.limits_kw {
        for policy in Policy::ALL {
            let outcome = run(policy, &garage, limit_kw, &sessions);
            let row = json!({
                "policy": policy.name(),
                "limit_kw": limit_kw,
                "sessions": sessions.len(),
                "delivered_share": outcome.delivered_kwh / outcome.asked_kwh,
                "short_share": outcome.short as f64 / sessions.len() as f64,
                "worst_twentieth": outcome.worst_twentieth,
                "peak_kw": outcome.peak_kw,
                "switches_a_session": outcome.switches as f64 / sessions.len() as f64,
                "worst_excess_kw": outcome.worst_excess_kw,
            });
            print(&row);
            rows.push(row);
        }
    }
    let Some(path) = &arguments.plot else {
        return Ok(());
    };
    let text = match &arguments.peers {
        Some(peers) => {
            std::fs::read_to_string(peers).with_context(|| peers.display().to_string())?
        }
        None => String::new(),
    };
    let peers = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    plot::draw(path, &rows, &peers)
}

fn run(policy: Policy, garage: &Garage, limit_kw: f64, sessions: &[Session]) -> Outcome {
    let mut controller = Controller::new(policy, garage);
    let mut outcome = Outcome {
        asked_kwh: sessions.iter().map(|session| session.kwh).sum(),
        ..Outcome::default()
    };
    let mut left: Vec<f64> = sessions.iter().map(|session| session.kwh).collect();
    let mut drew = vec![0.0; sessions.len()];
    let end = sessions
        .iter()
        .map(|session| session.departure)
        .max()
        .unwrap_or(0);
    for period in 0..end {
        // In the order of their piles, as a station reads them.
        let mut here: Vec<usize> = (0..sessions.len())
            .filter(|at| (sessions[*at].arrival..sessions[*at].departure).contains(&period))
            .collect();
        here.sort_by_key(|at| sessions[*at].pile);
        let vehicles: Vec<Vehicle> = (here.iter())
            .map(|&at| Vehicle {
                pile: sessions[at].pile,
                arrival: sessions[at].arrival,
                stays: sessions[at].departure - period,
                wants_kwh: left[at],
                drew_kw: drew[at],
            })
            .collect();
        let shares = controller.share(garage, period, limit_kw, &vehicles);
        let mut total = 0.0;
        for (&at, share) in here.iter().zip(shares) {
            let draws = share.min(garage.most_kw(left[at]));
            let was_on = drew[at] > 0.0;
            // A watt-hour is not worth a session.
            let wants = left[at] > 1e-3;
            outcome.switches +=
                usize::from(period > sessions[at].arrival && wants && was_on != (draws > 0.0));
            drew[at] = draws;
            left[at] -= draws * garage.period_h();
            total += draws;
        }
        outcome.peak_kw = outcome.peak_kw.max(total);
        outcome.worst_excess_kw = outcome.worst_excess_kw.max(total - limit_kw);
    }
    let mut shares: Vec<f64> = (sessions.iter().zip(&left))
        .map(|(session, left)| 1.0 - left / session.kwh.max(1e-9))
        .collect();
    shares.sort_by(f64::total_cmp);
    outcome.delivered_kwh = outcome.asked_kwh - left.iter().sum::<f64>();
    let lacking = sessions
        .iter()
        .zip(&left)
        .filter(|(session, left)| **left > 0.01 * session.kwh + 1e-3);
    outcome.short = lacking.count();
    let worst = (shares.len() / 20).max(1);
    outcome.worst_twentieth = shares.iter().take(worst).sum::<f64>() / worst as f64;
    outcome
}
