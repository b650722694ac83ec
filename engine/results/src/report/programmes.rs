//! What the grid asked for, what it got, and from whom.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::fleet::whole;
use super::series::{Axis, Means, ms, round};
use crate::reader::{each, read};
use crate::schema::Text;
use crate::{Error, Header, rows};

/// Most buckets of an aggregator's curve.
const MOST: i64 = 2000;

/// Most events that the page lists.
const MOST_EVENTS: usize = 300;

/// Most buckets of the regulation signal.
const MOST_VALUES: usize = 2400;

/// Bins of the histogram of errors.
const BINS: usize = 41;

/// An aggregator over the whole run.
#[derive(Default, Serialize)]
pub(super) struct Aggregator {
    id: String,
    import_kwh: f64,
    export_kwh: f64,
    energy_cost_cny: f64,
    feed_in_cny: f64,
    subsidy_cny: f64,
    /// None where it promised nothing at any time.
    programme: Option<Programme>,
}

#[derive(Serialize)]
struct Programme {
    axis: Axis,
    committed: Vec<Option<f64>>,
    delivered: Vec<Option<f64>>,
}

pub(super) fn aggregators(folder: &Path, header: &Header) -> Result<Vec<Aggregator>, Error> {
    let axis = Axis::new(header, MOST);
    let mut all: BTreeMap<Text, (Aggregator, Means, Means, bool)> = BTreeMap::new();
    each::<rows::Aggregator>(folder, |columns| {
        for row in 0..columns.start.len() {
            let entry = all.entry(columns.aggregator[row].clone());
            let (sums, committed, delivered, promises) = entry.or_insert_with(|| {
                let means = || Means::new(axis.count());
                (Aggregator::default(), means(), means(), false)
            });
            sums.import_kwh += columns.import_kwh[row];
            sums.export_kwh += columns.export_kwh[row];
            sums.energy_cost_cny += columns.energy_cost_cny[row];
            sums.feed_in_cny += columns.feed_in_cny[row];
            sums.subsidy_cny += columns.subsidy_cny[row];
            let at = axis.at(columns.start[row]);
            committed.add(at, columns.committed_kw[row]);
            delivered.add(at, columns.delivered_kw[row]);
            *promises |= columns.committed_kw[row].abs() > 0.0;
        }
    })?;
    let aggregators = all
        .into_iter()
        .map(|(id, (sums, committed, delivered, promises))| {
            let programme = promises.then(|| Programme {
                axis,
                committed: committed.values(1),
                delivered: delivered.values(1),
            });
            Aggregator {
                id: id.to_string(),
                import_kwh: round(sums.import_kwh, 1),
                export_kwh: round(sums.export_kwh, 1),
                energy_cost_cny: round(sums.energy_cost_cny, 2),
                feed_in_cny: round(sums.feed_in_cny, 2),
                subsidy_cny: round(sums.subsidy_cny, 2),
                programme,
            }
        });
    Ok(aggregators.collect())
}

/// The run's events, and how many more there are than the page lists.
#[derive(Default, Serialize)]
pub(super) struct Events {
    list: Vec<Event>,
    more: usize,
}

#[derive(Default, Serialize)]
struct Event {
    id: String,
    kind: String,
    start_ms: i64,
    end_ms: i64,
    asked_kw: f64,
    promised_kw: f64,
    promised_kwh: f64,
    delivered_kwh: f64,
    shortfall_kwh: f64,
    by: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    aggregator: String,
    promised_kwh: f64,
    delivered_kwh: f64,
    state: String,
}

pub(super) fn events(folder: &Path) -> Result<Events, Error> {
    let mut all: BTreeMap<(i64, Text), Event> = BTreeMap::new();
    each::<rows::Event>(folder, |columns| {
        for row in 0..columns.event.len() {
            let (start, end) = (columns.start[row], columns.end[row]);
            let event = all
                .entry((ms(start), columns.event[row].clone()))
                .or_default();
            event.id = columns.event[row].to_string();
            event.kind = columns.kind[row].to_string();
            (event.start_ms, event.end_ms) = (ms(start), ms(end));
            let promised = columns.promised_kw[row] * (end - start).as_seconds_f64() / 3600.0;
            event.asked_kw += columns.asked_kw[row];
            event.promised_kw += columns.promised_kw[row];
            event.promised_kwh += promised;
            event.delivered_kwh += columns.delivered_kwh[row];
            event.shortfall_kwh += columns.shortfall_kwh[row];
            event.by.push(Part {
                aggregator: columns.aggregator[row].to_string(),
                promised_kwh: round(promised, 1),
                delivered_kwh: round(columns.delivered_kwh[row], 1),
                state: columns.state[row].to_string(),
            });
        }
    })?;
    let more = all.len().saturating_sub(MOST_EVENTS);
    let round = |event: Event| Event {
        asked_kw: round(event.asked_kw, 1),
        promised_kw: round(event.promised_kw, 1),
        promised_kwh: round(event.promised_kwh, 1),
        delivered_kwh: round(event.delivered_kwh, 1),
        shortfall_kwh: round(event.shortfall_kwh, 1),
        ..event
    };
    let list = all.into_values().take(MOST_EVENTS).map(round).collect();
    Ok(Events { list, more })
}

/// How the signal was followed.
#[derive(Serialize)]
pub(super) struct Regulation {
    axis: Axis,
    requested: Vec<Option<f64>>,
    achieved: Vec<Option<f64>>,
    /// Whether a bucket holds more than one value.
    averaged: bool,
    /// Lower end of the first bin of the errors (achieved less requested) and the width of a bin, kW.
    error_from_kw: f64,
    error_width_kw: f64,
    error_counts: Vec<u32>,
}

pub(super) fn regulation(folder: &Path) -> Result<Option<Regulation>, Error> {
    let columns = read::<rows::Regulation>(folder)?;
    let (Some(first), Some(last)) = (columns.time.first(), columns.time.last()) else {
        return Ok(None);
    };
    let count = columns.time.len();
    let length_s = (*last - *first).num_seconds().max(1);
    let period_s = (length_s / i64::try_from(count).unwrap_or(1)).max(1);
    let most = i64::try_from(MOST_VALUES).unwrap_or(1);
    let step_s = period_s.max(length_s / most + 1);
    let axis = Axis::with(ms(*first), step_s, length_s / step_s + 1);
    let (mut requested, mut achieved) = (Means::new(axis.count()), Means::new(axis.count()));
    let errors: Vec<f64> = (0..count)
        .map(|row| columns.achieved_kw[row] - columns.requested_kw[row])
        .collect();
    for row in 0..count {
        let at = axis.at(columns.time[row]);
        requested.add(at, columns.requested_kw[row]);
        achieved.add(at, columns.achieved_kw[row]);
    }
    let widest = errors
        .iter()
        .fold(1e-3_f64, |most, error| most.max(error.abs()));
    let width = 2.0 * widest / whole(BINS as u64);
    let mut counts = vec![0; BINS];
    for error in errors {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // at most the number of bins
        let bin = ((error + widest) / width).max(0.0) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    Ok(Some(Regulation {
        axis,
        requested: requested.values(1),
        achieved: achieved.values(1),
        averaged: step_s > period_s,
        error_from_kw: round(-widest, 3),
        error_width_kw: width,
        error_counts: counts,
    }))
}

/// Promises of one stated confidence: how often they were kept.
#[derive(Serialize)]
pub(super) struct Reliability {
    /// Share that was said to be kept.
    stated: f64,
    /// Share that was kept.
    kept: f64,
    promises: u64,
    /// Between these the true share lies with 95 %: Wilson's interval, which holds for few promises too.
    low: f64,
    high: f64,
}

pub(super) fn reliability(folder: &Path) -> Result<Vec<Reliability>, Error> {
    // By per mille, so that no two of the same confidence are told apart by their last bits.
    let mut bins: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    each::<rows::Promise>(folder, |columns| {
        for (confidence, kept) in columns.confidence.iter().zip(&columns.kept) {
            #[allow(clippy::cast_possible_truncation)] // 0 to 1000
            let bin = bins
                .entry((confidence * 1000.0).round() as i64)
                .or_default();
            bin.0 += 1;
            bin.1 += u64::from(*kept);
        }
    })?;
    let row = |(stated, (promises, kept)): (i64, (u64, u64))| {
        let (share, low, high) = wilson(kept, promises);
        Reliability {
            #[allow(clippy::cast_precision_loss)] // 0 to 1000
            stated: stated as f64 / 1000.0,
            kept: share,
            promises,
            low,
            high,
        }
    };
    Ok(bins.into_iter().map(row).collect())
}

/// Share, and the ends of Wilson's 95 % interval (E. B. Wilson, JASA 22, 1927).
fn wilson(kept: u64, of: u64) -> (f64, f64, f64) {
    const Z: f64 = 1.959_964;
    let (n, share) = (whole(of), whole(kept) / whole(of));
    let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let round = |value: f64| round(value, 4);
    (
        round(share),
        round((centre - half).max(0.0)),
        round((centre + half).min(1.0)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R 4.3: `binom::binom.wilson(8, 10)` gives 0.4901625 and 0.9433178; of 0 in 10, 0 and 0.2775328.
    #[test]
    fn wilsons_interval_is_that_of_the_books() {
        assert_eq!(wilson(8, 10), (0.8, 0.4902, 0.9433));
        assert_eq!(wilson(0, 10), (0.0, 0.0, 0.2775));
    }
}
