//! What limited the run: the tightest nodes, the price of limits that bind, alarms.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::fleet::whole;
use super::series::{Axis, ms, round};
use crate::reader::{each, read};
use crate::schema::Text;
use crate::{Error, Header, rows};

/// Most buckets of a node's curve.
const MOST: i64 = 1500;

/// How many of the tightest nodes are drawn.
const NODES: usize = 6;

/// How many limits are listed.
const LIMITS: usize = 15;

/// How many alarms are listed.
const ALARMS: usize = 200;

/// A node: in each bucket the interval in which it was tightest.
#[derive(Serialize)]
pub(super) struct Node {
    id: String,
    worst_loading: f64,
    axis: Axis,
    power: Vec<Option<f64>>,
    stations: Vec<Option<f64>>,
    import_limit: Vec<Option<f64>>,
    export_limit: Vec<Option<f64>>,
}

#[derive(Clone, Copy)]
struct Tightest {
    loading: f64,
    values: [f64; 4],
}

pub(super) fn nodes(folder: &Path, header: &Header) -> Result<Vec<Node>, Error> {
    let mut worst: BTreeMap<Text, f64> = BTreeMap::new();
    each::<rows::Node>(folder, |columns| {
        for row in 0..columns.node.len() {
            let (loading, _) = loading(&columns, row);
            let most = worst.entry(columns.node[row].clone()).or_insert(0.0);
            *most = most.max(loading);
        }
    })?;
    let mut order: Vec<(Text, f64)> = worst.into_iter().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    order.truncate(NODES);
    let axis = Axis::new(header, MOST);
    let mut curves: BTreeMap<Text, Vec<Option<Tightest>>> = (order.iter())
        .map(|(id, _)| (id.clone(), vec![None; axis.count()]))
        .collect();
    each::<rows::Node>(folder, |columns| {
        for row in 0..columns.node.len() {
            let Some(curve) = curves.get_mut(&columns.node[row]) else {
                continue;
            };
            let Some(bucket) = axis.at(columns.start[row]).and_then(|at| curve.get_mut(at)) else {
                continue;
            };
            let (loading, values) = loading(&columns, row);
            if bucket.is_none_or(|tightest| loading > tightest.loading) {
                *bucket = Some(Tightest { loading, values });
            }
        }
    })?;
    let node = |(id, worst): (Text, f64)| {
        let curve = curves.remove(&id).unwrap_or_default();
        let values = |at: usize| {
            let value =
                |bucket: &Option<Tightest>| bucket.map(|tightest| round(tightest.values[at], 1));
            curve.iter().map(value).collect()
        };
        Node {
            id: id.to_string(),
            worst_loading: round(worst, 4),
            axis,
            power: values(0),
            stations: values(1),
            import_limit: values(2),
            export_limit: values(3),
        }
    };
    Ok(order.into_iter().map(node).collect())
}

/// Power over the limit in its direction, and the four values of the row.
fn loading(columns: &rows::NodeColumns, row: usize) -> (f64, [f64; 4]) {
    let (power, import, export) = (
        columns.power_kw[row],
        columns.import_limit_kw[row],
        columns.export_limit_kw[row],
    );
    let loading = power.abs() / if power < 0.0 { export } else { import };
    let loading = if loading.is_finite() { loading } else { 0.0 };
    (loading, [power, columns.stations_kw[row], import, export])
}

/// A limit that binds: for how long, and what it cost.
#[derive(Serialize)]
pub(super) struct Price {
    limit: String,
    hours: f64,
    mean_cny_per_kwh: f64,
    worst_cny_per_kwh: f64,
    /// Sum of price over time: what one kW more of room all the time would have saved.
    cny_per_kw: f64,
}

pub(super) fn prices(folder: &Path, header: &Header) -> Result<Vec<Price>, Error> {
    let hours = whole(header.interval_s) / 3600.0;
    let mut all: BTreeMap<Text, (u64, f64, f64)> = BTreeMap::new();
    each::<rows::Price>(folder, |columns| {
        for (limit, price) in columns.limit.iter().zip(&columns.price_cny_per_kwh) {
            let (count, sum, worst) = all.entry(limit.clone()).or_default();
            *count += 1;
            *sum += price.abs();
            *worst = worst.max(price.abs());
        }
    })?;
    let price = |(limit, (count, sum, worst)): (Text, (u64, f64, f64))| Price {
        limit: limit.to_string(),
        hours: round(hours * whole(count), 2),
        mean_cny_per_kwh: round(sum / whole(count), 4),
        worst_cny_per_kwh: round(worst, 4),
        cny_per_kw: round(sum * hours, 4),
    };
    let mut prices: Vec<Price> = all.into_iter().map(price).collect();
    prices.sort_by(|a, b| {
        b.cny_per_kw
            .total_cmp(&a.cny_per_kw)
            .then_with(|| a.limit.cmp(&b.limit))
    });
    prices.truncate(LIMITS);
    Ok(prices)
}

/// The gravest alarms, and how many more there were.
#[derive(Default, Serialize)]
pub(super) struct Alarms {
    list: Vec<Alarm>,
    more: usize,
}

#[derive(Serialize)]
struct Alarm {
    time_ms: i64,
    severity: String,
    subject: String,
    text: String,
}

pub(super) fn alarms(folder: &Path) -> Result<Alarms, Error> {
    let columns = read::<rows::Alarm>(folder)?;
    let gravity = |row: &usize| match &*columns.severity[*row] {
        "error" => 0,
        "warning" => 1,
        _ => 2,
    };
    let mut order: Vec<usize> = (0..columns.time.len()).collect();
    order.sort_by_key(gravity);
    let more = order.len().saturating_sub(ALARMS);
    let list = order.into_iter().take(ALARMS).map(|row| Alarm {
        time_ms: ms(columns.time[row]),
        severity: columns.severity[row].to_string(),
        subject: columns.subject[row].to_string(),
        text: columns.text[row].to_string(),
    });
    Ok(Alarms {
        list: list.collect(),
        more,
    })
}
