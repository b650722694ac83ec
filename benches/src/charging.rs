//! Sharing a garage's limit out over its vehicles: ours beside the usual ways, on the same sessions.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)] // a garage is small

mod fleet;
mod garage;
mod horizon;
mod planned;
mod plot;
mod policies;
mod run;
mod sessions;
mod surroundings;
mod window;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::NaiveDate;
use serde_json::{Value, json};
use vpp_market_adapters::RulePack;

use fleet::Fleet;
use garage::{Case, Garage, Limits, Prices};
use policies::Policy;
use sessions::{Session, Statistics};
use surroundings::Surroundings;

/// A Monday in the months with a sharp peak.
const FIRST_DAY: (i32, u32, u32) = (2027, 7, 5);

/// Sessions charged under a limit that falls: how much of what was asked for each way of sharing delivers, what that costs, and
/// which limits it breaks. Three sets of them: a garage drawn from the statistics of real sessions (ElaadNL); the same with
/// V2G, sun and houses; a bus depot (`spice_ev`).
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of public data.
    #[arg(long, default_value = "../shared/data")]
    data: PathBuf,
    /// Of garage, v2g, depot: only these.
    #[arg(long, value_delimiter = ',', default_value = "garage,v2g,depot")]
    only: Vec<String>,
    /// Whose sessions the garage has: private, public or workplace.
    #[arg(long, default_value = "workplace")]
    place: String,
    /// Piles of the garage.
    #[arg(long, default_value_t = 54)]
    piles: usize,
    /// Vehicles a day, as far as a pile is free.
    #[arg(long, default_value_t = 60)]
    per_day: usize,
    /// Days.
    #[arg(long, default_value_t = 14)]
    days: usize,
    /// Of the draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Limits of the garage, kW.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "20,30,40,50,60,80,100,150"
    )]
    limits_kw: Vec<f64>,
    /// Limits of the garage with V2G, kW.
    #[arg(long, value_delimiter = ',', default_value = "60,80,100,150")]
    v2g_limits_kw: Vec<f64>,
    /// The depot's fleet, in the folder of public data.
    #[arg(long, default_value = "spiceev-scenarios/bus_scenario_D.json.gz")]
    fleet: PathBuf,
    /// Limits of the depot, kW.
    #[arg(long, value_delimiter = ',', default_value = "20,30,40,60,80,120,200")]
    depot_limits_kw: Vec<f64>,
    /// How long a share holds, minutes.
    #[arg(long, default_value_t = 5)]
    period_min: usize,
    /// The least with which a pile of the garage charges, A; less is nothing. 0: any pile charges with any power.
    #[arg(long, default_value_t = 6.0)]
    least_a: f64,
    /// Share of the energy that is left on the way into a battery and out of it, with V2G.
    #[arg(long, default_value_t = 0.95)]
    efficiency: f64,
    /// Write the sessions here as JSON, for another program.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Draw the rows here as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// With the rows of another program, one JSON object a line (`charging_peers.py`), beside them.
    #[arg(long, value_name = "FILE", requires = "plot")]
    peers: Option<PathBuf>,
}

pub(crate) fn measure(arguments: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    anyhow::ensure!(
        arguments.period_min > 0 && 15 % arguments.period_min == 0,
        "--period-min: {} does not divide a quarter of an hour",
        arguments.period_min
    );
    anyhow::ensure!(
        arguments.data.is_dir(),
        "--data: there is no folder {}; the public data stand beside the project in ../shared/data",
        arguments.data.display()
    );
    let made = |name: &String| match name.as_str() {
        "garage" => garage(arguments, "garage"),
        "v2g" => garage(arguments, "v2g"),
        "depot" => depot(arguments),
        other => anyhow::bail!("--only: {other:?} is none of garage, v2g, depot"),
    };
    let cases = (arguments.only.iter().map(made)).collect::<anyhow::Result<Vec<Case>>>()?;
    if let Some(path) = &arguments.save {
        let text = json!({"cases": cases.iter().map(saved).collect::<Vec<_>>()}).to_string();
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let mut rows = Vec::new();
    for case in &cases {
        let v2g: &[Policy] = match case.surroundings {
            Some(_) => &Policy::V2G,
            None => &[],
        };
        for &transformer_kw in &case.limits_kw {
            let limits = Limits {
                transformer_kw,
                surroundings: case.surroundings.as_ref(),
            };
            for &policy in Policy::CHARGING.iter().chain(v2g) {
                let row = run::run(policy, case, limits)?;
                print(&row);
                rows.push(row);
            }
        }
    }
    match &arguments.plot {
        Some(path) => plot::draw(path, &rows, &peers(arguments.peers.as_deref())?),
        None => Ok(()),
    }
}

/// Rows of another program.
fn peers(path: Option<&Path>) -> anyhow::Result<Vec<Value>> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

/// A garage drawn from statistics; as `v2g` with vehicles that feed in, sun and houses.
fn garage(arguments: &Arguments, name: &'static str) -> anyhow::Result<Case> {
    let v2g = name == "v2g";
    let garage = Garage {
        period_min: arguments.period_min,
        piles: arguments.piles,
        volts: 220.0,
        most_a: 32.0,
        least_a: arguments.least_a,
        efficiency: if v2g { arguments.efficiency } else { 1.0 },
    };
    anyhow::ensure!(
        0.0 < garage.efficiency && garage.efficiency <= 1.0,
        "--efficiency: {} is outside (0, 1]",
        garage.efficiency
    );
    let statistics = Statistics::load(&arguments.data.join("elaad-sessions"), &arguments.place)?;
    let mut sessions = statistics.draw(
        arguments.seed,
        arguments.days,
        arguments.piles,
        arguments.per_day,
        &garage,
    );
    if !v2g {
        sessions
            .iter_mut()
            .for_each(|session| session.discharge_kw = 0.0);
    }
    let (year, month, day) = FIRST_DAY;
    let day = NaiveDate::from_ymd_opt(year, month, day).context("no such day")?;
    let periods = periods(&sessions);
    let surroundings = match v2g {
        true => {
            let folder = arguments.data.join("loads-residential");
            Some(Surroundings::load(
                &folder,
                day,
                periods,
                garage.period_min,
            )?)
        }
        false => None,
    };
    let limits_kw = if v2g {
        &arguments.v2g_limits_kw
    } else {
        &arguments.limits_kw
    };
    Ok(Case {
        name,
        prices: prices(day, periods, &garage)?,
        garage,
        sessions,
        limits_kw: limits_kw.clone(),
        surroundings,
        timetable: false,
    })
}

/// A depot of buses, on the same weekday.
fn depot(arguments: &Arguments) -> anyhow::Result<Case> {
    const VOLTS: f64 = 400.0;
    let fleet = Fleet::load(&arguments.data.join(&arguments.fleet))?;
    let depot = fleet.depot(arguments.period_min)?;
    let any_power = arguments.least_a <= 0.0;
    let garage = Garage {
        period_min: arguments.period_min,
        piles: depot.piles,
        volts: VOLTS,
        most_a: depot.most_kw * 1e3 / VOLTS,
        least_a: if any_power {
            0.0
        } else {
            depot.least_kw * 1e3 / VOLTS
        },
        efficiency: 1.0,
    };
    let (year, month, day) = FIRST_DAY;
    let monday = NaiveDate::from_ymd_opt(year, month, day).context("no such day")?;
    let weekday = u64::from(chrono::Datelike::weekday(&depot.day).num_days_from_monday());
    let day = monday + chrono::Days::new(weekday);
    Ok(Case {
        name: "depot",
        prices: prices(day, periods(&depot.sessions), &garage)?,
        garage,
        sessions: depot.sessions,
        limits_kw: arguments.depot_limits_kw.clone(),
        surroundings: None,
        timetable: true,
    })
}

fn periods(sessions: &[Session]) -> usize {
    sessions
        .iter()
        .map(|session| session.departure)
        .max()
        .unwrap_or(0)
}

fn prices(day: NaiveDate, periods: usize, garage: &Garage) -> anyhow::Result<Prices> {
    anyhow::ensure!(periods > 0, "there are no sessions");
    let tariff = RulePack::guangdong_2025().tariff();
    Prices::new(tariff, day, periods, garage.period_min)
}

/// For another program.
fn saved(case: &Case) -> Value {
    let garage = &case.garage;
    let around = case.surroundings.as_ref();
    json!({
        "name": case.name,
        "start": case.prices.start,
        "period_min": garage.period_min,
        "volts": garage.volts,
        "most_a": garage.most_a,
        "least_a": garage.least_a,
        "piles": garage.piles,
        "efficiency": garage.efficiency,
        "limits_kw": case.limits_kw,
        "sessions": case.sessions,
        "drawn_cny_per_kwh": case.prices.drawn,
        "fed_in_cny_per_kwh": case.prices.fed_in,
        // As shares of what the transformer may draw.
        "sun": around.map(|around| &around.sun),
        "houses": around.map(|around| &around.houses),
        "transformer_export": around.map(|around| around.export_kw(1.0)),
        "feeder_import": around.map(|around| around.feeder(1.0).draw_kw),
        "feeder_export": around.map(|around| around.feeder(1.0).feed_in_kw),
    })
}
