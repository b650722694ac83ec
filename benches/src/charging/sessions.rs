//! Sessions of a garage, drawn from the statistics of real ones.

use std::path::Path;

use anyhow::Context as _;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::Serialize;

/// Who wants less does not count.
const LEAST_KWH: f64 = 0.5;

/// Statistics of ElaadNL as the package ev2gym ships them: a table for each question, a column for each kind of place.
pub(super) struct Statistics {
    /// Share of arrivals in each quarter of an hour.
    arrivals: Vec<f64>,
    /// Hours connected, and kWh, that so many percent of sessions reach or exceed: 0 to 100.
    hours: Vec<f64>,
    kwh: Vec<f64>,
}

/// A vehicle's stay. Periods are counted from the start.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Session {
    pub(super) pile: usize,
    pub(super) arrival: usize,
    pub(super) departure: usize,
    pub(super) kwh: f64,
}

impl Statistics {
    pub(super) fn load(folder: &Path, place: &str) -> anyhow::Result<Statistics> {
        let column = |file: &str| -> anyhow::Result<Vec<f64>> {
            let path = folder.join(file);
            let name = path.display().to_string();
            let mut reader = csv::Reader::from_path(&path).with_context(|| name.clone())?;
            let header = reader.headers().with_context(|| name.clone())?;
            let at = header.iter().position(|column| column == place);
            let at = at.with_context(|| format!("{name}: there is no column {place}"))?;
            let rows = reader.records().map(|row| Ok(row?[at].parse::<f64>()?));
            rows.collect::<anyhow::Result<_>>()
                .with_context(|| name.clone())
        };
        Ok(Statistics {
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
        garage: &super::Garage,
    ) -> Vec<Session> {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        #[allow(clippy::cast_precision_loss)] // 53 bits
        let mut unit = move || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
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
            let most = garage.pile_kw() * stay as f64 * period_h;
            sessions.push(Session {
                pile,
                arrival,
                departure,
                kwh: kwh.min(most),
            });
        }
        sessions
    }
}

/// What a share of sessions reaches or exceeds.
fn quantile(exceeded: &[f64], share: f64) -> f64 {
    let place = share * (exceeded.len() - 1) as f64;
    let below = (place as usize).min(exceeded.len() - 2);
    let part = place - below as f64;
    exceeded[below] + part * (exceeded[below + 1] - exceeded[below])
}
