//! The summary out of the tables.

use std::collections::BTreeMap;
use std::path::Path;

use super::{
    Energy, Events, Header, Limits, Messages, Money, Regulation, Reliability, Summary, Vehicles,
};
use crate::reader::{each, read};
use crate::rows;
use crate::schema::Text;
use crate::{Error, FORMAT};

/// Confidences so close together are the same: the report tells them apart by per mille.
const SAME_CONFIDENCE: f64 = 0.0005;

impl Summary {
    /// Works a summary out of the tables of a run's folder.
    ///
    /// # Errors
    /// When a table is not there, or damaged.
    pub fn derive(folder: &Path, scenario: Header) -> Result<Summary, Error> {
        let mut summary = Summary {
            format: FORMAT,
            scenario,
            ..Summary::default()
        };
        each::<rows::System>(folder, |columns| {
            system(
                &columns,
                &mut summary.energy,
                &mut summary.messages,
                &mut summary.limits,
            );
        })?;
        each::<rows::Aggregator>(folder, |columns| money(&columns, &mut summary.money))?;
        each::<rows::Node>(folder, |columns| loading(&columns, &mut summary.limits))?;
        each::<rows::StationDay>(folder, |columns| {
            days(&columns, &mut summary.energy, &mut summary.vehicles);
        })?;
        summary.events = events(&read::<rows::Event>(folder)?);
        summary.regulation = regulation(&read::<rows::Regulation>(folder)?);
        let mut reliability = Reliability::default();
        each::<rows::Promise>(folder, |columns| promises(&columns, &mut reliability))?;
        if reliability.promises > 0 {
            let promises = count(reliability.promises);
            reliability.kept_share = count(reliability.kept) / promises;
            reliability.stated_share = Reliability::STATED;
            summary.reliability = Some(reliability);
        }
        for severity in read::<rows::Alarm>(folder)?.severity {
            match &*severity {
                "warning" => summary.messages.warnings += 1,
                "error" => summary.messages.errors += 1,
                _ => {}
            }
        }
        Ok(summary)
    }
}

/// A count as a divisor.
#[allow(clippy::cast_precision_loss)] // exact below 2^53
fn count(number: u64) -> f64 {
    number as f64
}

fn sum<T: Copy + std::iter::Sum<T>>(values: &[T]) -> T {
    values.iter().copied().sum()
}

fn system(
    columns: &rows::SystemColumns,
    energy: &mut Energy,
    messages: &mut Messages,
    limits: &mut Limits,
) {
    energy.import_kwh += sum(&columns.import_kwh);
    energy.export_kwh += sum(&columns.export_kwh);
    energy.peak_kw = columns
        .power_kw
        .iter()
        .copied()
        .fold(energy.peak_kw, f64::max);
    messages.commands += sum(&columns.commands);
    messages.acknowledgements += sum(&columns.acknowledgements);
    messages.refusals += sum(&columns.refusals);
    messages.guarded += sum(&columns.guarded);
    limits.violations += sum(&columns.limit_violations);
}

fn money(columns: &rows::AggregatorColumns, money: &mut Money) {
    money.energy_cost_cny += sum(&columns.energy_cost_cny);
    money.feed_in_cny += sum(&columns.feed_in_cny);
    money.subsidy_cny += sum(&columns.subsidy_cny);
    money.net_cost_cny = money.energy_cost_cny - money.feed_in_cny - money.subsidy_cny;
}

fn loading(columns: &rows::NodeColumns, limits: &mut Limits) {
    for row in 0..columns.node.len() {
        let power = columns.power_kw[row];
        let limit = if power < 0.0 {
            columns.export_limit_kw[row]
        } else {
            columns.import_limit_kw[row]
        };
        let loading = power.abs() / limit;
        // Nothing through a node that may carry nothing is no loading.
        if loading.is_finite() && loading > limits.worst_loading {
            limits.worst_loading = loading;
            limits.worst_node = columns.node[row].to_string();
            limits.worst_at = Some(columns.start[row]);
        }
    }
}

fn days(columns: &rows::StationDayColumns, energy: &mut Energy, vehicles: &mut Vehicles) {
    let import = &mut energy.import_by_period_kwh;
    import.sharp += sum(&columns.import_sharp_kwh);
    import.peak += sum(&columns.import_peak_kwh);
    import.flat += sum(&columns.import_flat_kwh);
    import.valley += sum(&columns.import_valley_kwh);
    let export = &mut energy.export_by_period_kwh;
    export.sharp += sum(&columns.export_sharp_kwh);
    export.peak += sum(&columns.export_peak_kwh);
    export.flat += sum(&columns.export_flat_kwh);
    export.valley += sum(&columns.export_valley_kwh);
    vehicles.arrivals += sum(&columns.arrivals);
    vehicles.departures += sum(&columns.departures);
    vehicles.short_departures += sum(&columns.short_departures);
    vehicles.energy_short_kwh += sum(&columns.energy_short_kwh);
    let causes = &mut vehicles.short_causes;
    causes.too_short += sum(&columns.short_too_short);
    causes.ceiling += sum(&columns.short_ceiling);
    causes.own_control += sum(&columns.short_own_control);
    causes.warranty += sum(&columns.short_warranty);
    vehicles.turned_away += sum(&columns.turned_away);
    vehicles.v2g_vehicles += sum(&columns.v2g_vehicles);
}

fn events(columns: &rows::EventColumns) -> Events {
    let mut events = Events::default();
    let mut whole: BTreeMap<&Text, bool> = BTreeMap::new();
    for row in 0..columns.event.len() {
        let length = columns.end[row] - columns.start[row];
        let hours = length.as_seconds_f64() / 3600.0;
        events.promised_kwh += columns.promised_kw[row] * hours;
        events.delivered_kwh += columns.delivered_kwh[row];
        events.shortfall_kwh += columns.shortfall_kwh[row];
        *whole.entry(&columns.event[row]).or_insert(true) &= &*columns.state[row] == "delivered";
    }
    events.events = whole.len() as u64;
    events.delivered = whole.values().filter(|whole| **whole).count() as u64;
    events
}

fn regulation(columns: &rows::RegulationColumns) -> Option<Regulation> {
    let values = columns.time.len() as u64;
    let mean = |value: &dyn Fn(usize) -> f64| {
        let sum: f64 = (0..columns.time.len()).map(|row| value(row).abs()).sum();
        sum / count(values)
    };
    (values > 0).then(|| Regulation {
        values,
        mean_requested_kw: mean(&|row| columns.requested_kw[row]),
        mean_ordered_error_kw: mean(&|row| columns.ordered_kw[row] - columns.requested_kw[row]),
        mean_achieved_error_kw: mean(&|row| columns.achieved_kw[row] - columns.requested_kw[row]),
    })
}

/// Counts; the share is worked out of them at the end.
fn promises(columns: &rows::PromiseColumns, reliability: &mut Reliability) {
    for (confidence, kept) in columns.confidence.iter().zip(&columns.kept) {
        if (confidence - Reliability::STATED).abs() < SAME_CONFIDENCE {
            reliability.promises += 1;
            reliability.kept += u64::from(*kept);
        }
    }
}
