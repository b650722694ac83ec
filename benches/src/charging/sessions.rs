//! Sessions of a garage, drawn from the statistics of real ones.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use super::garage::Garage;

/// Who wants less does not count.
pub(super) const LEAST_KWH: f64 = 0.5;
/// Nobody's battery is emptied below this share of it.
const FLOOR: f64 = 0.2;
/// What vehicles that feed in shall leave with, as a share of their battery.
const TARGET: f64 = 0.9;

/// Statistics of ElaadNL as the package ev2gym ships them: a table for each question, a column for each kind of place.
pub(super) struct Statistics {
    /// Share of arrivals in each quarter of an hour.
    arrivals: Vec<f64>,
    /// Hours connected, and kWh, that so many percent of sessions reach or exceed: 0 to 100.
    hours: Vec<f64>,
    kwh: Vec<f64>,
    models: Vec<Model>,
}

/// A vehicle that can feed in.
#[derive(Deserialize)]
struct Model {
    number_of_registrations: f64,
    /// kWh.
    battery_capacity: f64,
    /// kW.
    max_ac_discharge_power: f64,
}

/// A vehicle's stay. Periods are counted from the start.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Session {
    pub(super) pile: usize,
    pub(super) arrival: usize,
    pub(super) departure: usize,
    /// What its battery wants.
    pub(super) kwh: f64,
    /// What it then leaves with, and what would still fit.
    pub(super) target_kwh: f64,
    pub(super) spare_kwh: f64,
    /// What stays in it.
    pub(super) floor_kwh: f64,
    /// The most that it feeds in, where piles can.
    pub(super) discharge_kw: f64,
}

impl Session {
    /// What may be taken out when it comes, kWh.
    pub(super) fn available_kwh(&self) -> f64 {
        (self.target_kwh - self.kwh - self.floor_kwh).max(0.0)
    }
}

impl Statistics {
    pub(super) fn load(folder: &Path, place: &str) -> anyhow::Result<Statistics> {
        let column = |file: &str| -> anyhow::Result<Vec<f64>> {
            let path = folder.join(file);
            let name = format!("{}: ElaadNL's statistics", path.display());
            let mut reader = csv::Reader::from_path(&path).with_context(|| name.clone())?;
            let header = reader.headers().with_context(|| name.clone())?;
            let at = header.iter().position(|column| column == place);
            let at = at.with_context(|| format!("{name}: there is no column {place}"))?;
            let rows = reader.records().map(|row| Ok(row?[at].parse::<f64>()?));
            rows.collect::<anyhow::Result<_>>()
                .with_context(|| name.clone())
        };
        let path = folder.join("ev_specs_v2g_enabled2024.json");
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(name)?;
        let models: BTreeMap<String, Model> = serde_json::from_str(&text).with_context(name)?;
        Ok(Statistics {
            models: models.into_values().collect(),
            arrivals: column("distribution-of-arrival.csv")?,
            hours: column("distribution-of-connection-time.csv")?,
            kwh: column("distribution-of-energy-demand.csv")?,
        })
    }

    /// Sessions of `days` at so many piles, `per_day` a day as far as a pile is free. Of what a vehicle wants, as much as it
    /// could get alone.
    pub(super) fn draw(
        &self,
        seed: u64,
        days: usize,
        piles: usize,
        per_day: usize,
        garage: &Garage,
    ) -> Vec<Session> {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut unit = move || unit_of(&mut rng);
        let period_h = garage.period_min as f64 / 60.0;
        let total: f64 = self.arrivals.iter().sum();
        let mut drawn: Vec<(f64, f64, f64)> = Vec::new();
        for day in 0..days {
            for _ in 0..per_day {
                let mut left = unit() * total;
                let quarter = self.arrivals.iter().position(|share| {
                    left -= share;
                    left <= 0.0
                });
                let quarter = quarter.unwrap_or(self.arrivals.len() - 1);
                let arrival = 24.0 * day as f64 + 0.25 * (quarter as f64 + unit());
                // Who stays long wants more, but not always: the same draw for both half of the time.
                let (stay, other) = (unit(), unit());
                let want = if unit() < 0.5 { stay } else { other };
                drawn.push((
                    arrival,
                    quantile(&self.hours, stay),
                    quantile(&self.kwh, want),
                ));
            }
        }
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Of their own, so that the stays do not depend on them.
        let mut model_rng = ChaCha12Rng::seed_from_u64(!seed);
        let mut free_from = vec![0; piles];
        let mut sessions = Vec::new();
        for (arrival, hours, kwh) in drawn {
            if kwh < LEAST_KWH {
                continue;
            }
            let arrival = (arrival / period_h) as usize;
            let stay = ((hours / period_h) as usize).max(1);
            let Some(pile) = free_from.iter().position(|from| *from <= arrival) else {
                continue;
            };
            let departure = arrival + stay;
            free_from[pile] = departure + 1;
            let most = garage.pile_kw() * garage.efficiency * stay as f64 * period_h;
            let kwh = kwh.min(most);
            let model = self.model(unit_of(&mut model_rng));
            let battery_kwh = model.battery_capacity.max(kwh / TARGET);
            sessions.push(Session {
                pile,
                arrival,
                departure,
                kwh,
                target_kwh: TARGET * battery_kwh,
                spare_kwh: (1.0 - TARGET) * battery_kwh,
                floor_kwh: FLOOR * battery_kwh,
                discharge_kw: model.max_ac_discharge_power.min(garage.pile_kw()),
            });
        }
        sessions
    }

    /// The model at a share of all registrations.
    fn model(&self, share: f64) -> &Model {
        let all: f64 = (self.models.iter())
            .map(|model| model.number_of_registrations)
            .sum();
        let mut left = share * all;
        let found = self.models.iter().find(|model| {
            left -= model.number_of_registrations;
            left <= 0.0
        });
        found.unwrap_or(&self.models[self.models.len() - 1])
    }
}

/// From 0 to 1.
fn unit_of(rng: &mut ChaCha12Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// What a share of sessions reaches or exceeds.
fn quantile(exceeded: &[f64], share: f64) -> f64 {
    let place = share * (exceeded.len() - 1) as f64;
    let below = (place as usize).min(exceeded.len() - 2);
    let part = place - below as f64;
    exceeded[below] + part * (exceeded[below + 1] - exceeded[below])
}
