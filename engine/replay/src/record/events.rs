//! What each event asked of whom, and got by the meters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vpp_core::time::as_hours;
use vpp_core::{
    AggregatorId, Event, EventId, EventOutcome, EventRequest, Fleet, Interval, Power, Programme,
    Scope, Timestamp,
};
use vpp_dispatch::{Engine, capability};
use vpp_results::{Text, rows};

use super::meters::Meters;

/// An event of the scenario.
#[derive(Debug, Deserialize, Serialize)]
struct Called {
    name: Text,
    /// The engine's name.
    event: EventId,
    interval: Interval,
    /// Stations in its scope.
    members: Vec<usize>,
    fills: bool,
    /// Delivered by each aggregator that promised something, kWh.
    delivered: BTreeMap<AggregatorId, f64>,
}

/// All that were called.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Events {
    called: Vec<Called>,
}

impl Events {
    pub(super) fn called(&mut self, name: &EventId, event: &Event, fleet: &Fleet) {
        self.called.push(Called {
            name: name.as_str().into(),
            event: event.id.clone(),
            interval: event.request.interval,
            members: members(&event.request, fleet),
            fills: event.request.programme.fills(),
            delivered: BTreeMap::new(),
        });
    }

    /// Adds what was delivered in an interval, up to what was promised.
    pub(super) fn account(
        &mut self,
        (start, end): (Timestamp, Timestamp),
        engine: &Engine,
        baselines: &[Option<Power>],
        meters: &Meters,
    ) {
        let Ok(interval) = Interval::new(start, end) else {
            return;
        };
        let fleet = engine.fleet();
        for called in &mut self.called {
            let Some(both) = called.interval.intersection(&interval) else {
                continue;
            };
            let Some(event) = engine.events().get(&called.event) else {
                continue;
            };
            let mut reductions = vec![0.0; fleet.aggregators().len()];
            for station in &called.members {
                if let Some(baseline) = baselines[*station] {
                    let mean_kw = meters.net_kwh(*station) / as_hours(end - start);
                    reductions[fleet.aggregator_of(*station)] += baseline.as_kilowatts() - mean_kw;
                }
            }
            for commitment in &event.commitments {
                let at = fleet.aggregator_index(&commitment.aggregator);
                let reduction = at.map_or(0.0, |at| reductions[at]);
                let along = if called.fills { -reduction } else { reduction };
                let kept = along.clamp(0.0, commitment.power.as_kilowatts());
                let delivered = called.delivered.entry(commitment.aggregator.clone());
                *delivered.or_default() += kept * as_hours(both.length());
            }
        }
    }

    /// Rows of all events, in the order in which they were called.
    pub(super) fn all(&self, engine: &Engine) -> Vec<rows::Event> {
        let rows = self.called.iter().filter_map(|called| {
            let event = engine.events().get(&called.event)?;
            Some(called.rows(event, engine.config().delivered_share))
        });
        rows.flatten().collect()
    }
}

impl Called {
    fn rows(&self, event: &Event, delivered_share: f64) -> Vec<rows::Event> {
        let asked = event.accepted + event.refused;
        let hours = as_hours(self.interval.length());
        let row = |commitment: &vpp_core::Commitment| {
            let promised_kw = commitment.power.as_kilowatts();
            let delivered_kwh = self.delivered.get(&commitment.aggregator).copied();
            let delivered_kwh = delivered_kwh.unwrap_or(0.0);
            let shortfall_kwh = (promised_kw * hours - delivered_kwh).max(0.0);
            let whole = delivered_kwh >= promised_kw * hours * delivered_share;
            let state = match event.outcome {
                None => "accepted",
                Some(EventOutcome::Cancelled) => "cancelled",
                Some(_) if whole => "delivered",
                Some(_) => "partly_delivered",
            };
            rows::Event {
                event: self.name.clone(),
                kind: kind(&event.request.programme).into(),
                aggregator: commitment.aggregator.as_str().into(),
                start: self.interval.start(),
                end: self.interval.end(),
                asked_kw: asked
                    .scaled(commitment.power, event.accepted)
                    .as_kilowatts(),
                promised_kw,
                delivered_kwh,
                shortfall_kwh,
                state: state.into(),
            }
        };
        event.commitments.iter().map(row).collect()
    }
}

/// An event that the engine refused: each aggregator in its scope was asked for the same part.
pub(super) fn refused(name: &EventId, request: &EventRequest, fleet: &Fleet) -> Vec<rows::Event> {
    let mut whose: Vec<usize> = (members(request, fleet).iter())
        .map(|station| fleet.aggregator_of(*station))
        .collect();
    whose.sort_unstable();
    whose.dedup();
    let asked_kw = match &request.programme {
        Programme::DemandResponse { reduction: power }
        | Programme::ValleyFilling { increase: power } => power.as_kilowatts(),
        Programme::PeakShaving { .. } => 0.0,
    };
    #[allow(clippy::cast_precision_loss)] // a handful
    let parts = whose.len() as f64;
    let row = |at: &usize| rows::Event {
        event: name.as_str().into(),
        kind: kind(&request.programme).into(),
        aggregator: fleet.aggregators()[*at].id.as_str().into(),
        start: request.interval.start(),
        end: request.interval.end(),
        asked_kw: asked_kw / parts,
        promised_kw: 0.0,
        delivered_kwh: 0.0,
        shortfall_kwh: 0.0,
        state: "refused".into(),
    };
    whose.iter().map(row).collect()
}

fn members(request: &EventRequest, fleet: &Fleet) -> Vec<usize> {
    let scope = match &request.programme {
        Programme::PeakShaving { node, .. } => Scope::Node(node.clone()),
        _ => request.scope.clone(),
    };
    capability::members(fleet, &scope).unwrap_or_default()
}

fn kind(programme: &Programme) -> &'static str {
    match programme {
        Programme::DemandResponse { .. } => "demand_response",
        Programme::ValleyFilling { .. } => "valley_filling",
        Programme::PeakShaving { .. } => "peak_shaving",
    }
}
