//! The whole fleet over time: power, prices, programmes; days, and the typical one.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{Datelike as _, NaiveDate, Timelike as _, Weekday};
use serde::Serialize;

use super::series::{Axis, Means, day, local, quantile, round};
use crate::reader::each;
use crate::{Error, Header, rows};

/// Most buckets of the fleet's curves: hours of a year.
const MOST: i64 = 9000;

/// Days from which on there is a typical one.
const TYPICAL_FROM: usize = 8;

#[derive(Serialize)]
pub(super) struct Fleet {
    axis: Axis,
    power: Vec<Option<f64>>,
    callable_up: Vec<Option<f64>>,
    callable_down: Vec<Option<f64>>,
    vehicles: Vec<Option<f64>>,
    price: Vec<Option<f64>>,
    feed_in: Vec<Option<f64>>,
    committed: Vec<Option<f64>>,
    ordered: Vec<Option<f64>>,
    delivered: Vec<Option<f64>>,
}

/// A local day of all stations.
#[derive(Default, Serialize)]
pub(super) struct Day {
    day: NaiveDate,
    import_kwh: f64,
    export_kwh: f64,
    peak_kw: f64,
    net_cost_cny: f64,
    violations: u64,
}

/// Quantiles of the fleet's power over the days, for each slot of the local day.
#[derive(Serialize)]
pub(super) struct Typical {
    slot_s: u32,
    weekday: Band,
    weekend: Band,
}

#[derive(Default, Serialize)]
pub(super) struct Band {
    days: usize,
    low: Vec<Option<f64>>,
    median: Vec<Option<f64>>,
    high: Vec<Option<f64>>,
}

type Collected = (Fleet, Vec<Day>, Option<Typical>, Vec<(String, u64)>);

pub(super) fn collect(folder: &Path, header: &Header) -> Result<Collected, Error> {
    let axis = Axis::new(header, MOST);
    let mut means = vec![Means::new(axis.count()); 9];
    let mut days: BTreeMap<NaiveDate, Day> = BTreeMap::new();
    let mut curves: BTreeMap<NaiveDate, Means> = BTreeMap::new();
    let mut decisions: BTreeMap<String, u64> = BTreeMap::new();
    let slot_s = u32::try_from(header.interval_s)
        .unwrap_or(3600)
        .clamp(900, 86_400);
    let slots = usize::try_from(86_400_u32.div_ceil(slot_s)).unwrap_or(1);
    each::<rows::System>(folder, |columns| {
        for row in 0..columns.start.len() {
            let start = columns.start[row];
            let values = [
                Some(columns.power_kw[row]),
                columns.callable_up_kw[row],
                columns.callable_down_kw[row],
                Some(whole(columns.vehicles[row])),
                columns.energy_price_cny_per_kwh[row],
                columns.feed_in_price_cny_per_kwh[row],
                Some(columns.committed_kw[row]),
                Some(columns.ordered_kw[row]),
                Some(columns.delivered_kw[row]),
            ];
            for (mean, value) in means.iter_mut().zip(values) {
                if let Some(value) = value {
                    mean.add(axis.at(start), value);
                }
            }
            let local = local(header, start);
            let of_day = days.entry(local.date()).or_default();
            of_day.import_kwh += columns.import_kwh[row];
            of_day.export_kwh += columns.export_kwh[row];
            of_day.peak_kw = of_day.peak_kw.max(columns.power_kw[row]);
            of_day.violations += columns.limit_violations[row];
            let slot = local.num_seconds_from_midnight() / slot_s;
            let curve = curves
                .entry(local.date())
                .or_insert_with(|| Means::new(slots));
            curve.add(usize::try_from(slot).ok(), columns.power_kw[row]);
            *decisions
                .entry(columns.decision[row].to_string())
                .or_default() += 1;
        }
    })?;
    each::<rows::Aggregator>(folder, |columns| {
        for row in 0..columns.start.len() {
            let cost =
                columns.energy_cost_cny[row] - columns.feed_in_cny[row] - columns.subsidy_cny[row];
            if let Some(of_day) = days.get_mut(&day(header, columns.start[row])) {
                of_day.net_cost_cny += cost;
            }
        }
    })?;
    let mut values = means
        .iter()
        .zip([1, 1, 1, 0, 4, 4, 1, 1, 1])
        .map(|(mean, decimals)| mean.values(decimals));
    let mut next = || values.next().unwrap_or_default();
    let fleet = Fleet {
        axis,
        power: next(),
        callable_up: next(),
        callable_down: next(),
        vehicles: next(),
        price: next(),
        feed_in: next(),
        committed: next(),
        ordered: next(),
        delivered: next(),
    };
    let typical = (days.len() >= TYPICAL_FROM).then(|| typical(&curves, slot_s, slots));
    let days = days.into_iter().map(|(day, of_day)| Day {
        day,
        import_kwh: round(of_day.import_kwh, 1),
        export_kwh: round(of_day.export_kwh, 1),
        peak_kw: round(of_day.peak_kw, 1),
        net_cost_cny: round(of_day.net_cost_cny, 2),
        ..of_day
    });
    Ok((
        fleet,
        days.collect(),
        typical,
        decisions.into_iter().collect(),
    ))
}

fn typical(curves: &BTreeMap<NaiveDate, Means>, slot_s: u32, slots: usize) -> Typical {
    let (mut weekday, mut weekend) = (Vec::new(), Vec::new());
    for (day, curve) in curves {
        if matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
            weekend.push(curve.values(1));
        } else {
            weekday.push(curve.values(1));
        }
    }
    Typical {
        slot_s,
        weekday: band(&weekday, slots),
        weekend: band(&weekend, slots),
    }
}

/// The values between which eight of ten days lie, and the middle one.
fn band(days: &[Vec<Option<f64>>], slots: usize) -> Band {
    let mut band = Band {
        days: days.len(),
        ..Band::default()
    };
    for slot in 0..slots {
        let mut values: Vec<f64> = days.iter().filter_map(|day| day[slot]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share| quantile(&values, share).map(|value| round(value, 1));
        band.low.push(at(0.1));
        band.median.push(at(0.5));
        band.high.push(at(0.9));
    }
    band
}

/// A count as a number to draw.
#[allow(clippy::cast_precision_loss)] // exact below 2^53
pub(super) fn whole(count: u64) -> f64 {
    count as f64
}
