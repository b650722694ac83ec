//! What of an event will probably be missing within the next quarter of an hour, while there is time to do something about it:
//! before it begins by what is callable, then by the plan, which knows when vehicles leave and are full.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use vpp_core::{Event, EventId, EventState, Interval, Power, Programme, Timestamp};
use vpp_optimizer::{Shortfall, Solution};

use crate::capability::participants;
use crate::engine::Engine;
use crate::events::{LEAD, promised};
use crate::input::Output;
use crate::plan::PendingSolve;

/// How far it looks ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(15);

impl Engine {
    /// For events that begin soon, and that the stations do not work for yet: of those the plan knows more.
    pub(crate) fn foresee_scheduled(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let worked_for = now + self.config.cycle.max(LEAD);
        let soon = |event: &&Event| {
            let start = event.request.interval.start();
            event.state == EventState::Scheduled && worked_for <= start && start <= now + AHEAD
        };
        let missing: Vec<(EventId, Power)> = (self.open_events().filter(soon))
            .map(|event| (event.id.clone(), self.not_callable(now, event)))
            .collect();
        for (id, missing) in missing {
            if let Some(event) = self.events.get_mut(&id)
                && event.forecast_shortfall.replace(missing) != Some(missing)
            {
                outputs.push(Output::EventChanged(Box::new(event.clone())));
            }
        }
    }

    /// What each aggregator promised and could not give now for as long as the event lasts.
    fn not_callable(&self, now: Timestamp, event: &Event) -> Power {
        let members = participants(&self.fleet, event);
        let (programme, interval) = (&event.request.programme, event.request.interval);
        let real_time = self.is_real_time(event);
        let callable = self.givable_by_aggregator(now, programme, &members, interval, real_time);
        let aggregators = self.fleet.aggregators().iter().zip(callable);
        aggregators
            .map(|(aggregator, callable)| promised(event, &aggregator.id) - callable)
            .map(|missing| missing.max(Power::ZERO))
            .sum()
    }

    /// For events that the plan serves: the most that it lacks in an interval that begins by then.
    pub(crate) fn foresee_served(
        &mut self,
        now: Timestamp,
        pending: &PendingSolve,
        solution: &Solution,
    ) {
        let near = |(_, interval): &(usize, &Interval)| interval.start() <= now + AHEAD;
        let near = pending.intervals.iter().enumerate().filter(near).count();
        // One row is for all of an event, those of its aggregators are named EVENT/AGGREGATOR: what one of them lacks is not
        // made good by another.
        let mut lacking: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for (name, shortfall) in pending.names.iter().zip(&solution.shortfalls) {
            let kilowatts = match shortfall {
                Shortfall::DemandResponse { shortfall_kw } => shortfall_kw,
                Shortfall::PeakShaving { over_kw, .. } => over_kw,
                Shortfall::Regulation { .. } => continue,
            };
            let (event, part) = name
                .split_once('/')
                .map_or((name.as_str(), false), |n| (n.0, true));
            let zero = || (vec![0.0; near], vec![0.0; near]);
            let (whole, parts) = lacking.entry(event).or_insert_with(zero);
            let sums = if part { parts } else { whole };
            for (sum, kw) in sums.iter_mut().zip(kilowatts) {
                *sum += kw;
            }
        }
        for (event, (whole, parts)) in lacking {
            let most = whole
                .iter()
                .chain(&parts)
                .fold(0.0, |most: f64, kw| most.max(*kw));
            let event = EventId::new(event).ok();
            if let Some(event) = event.and_then(|id| self.events.get_mut(&id)) {
                // What was refused of a ceiling was never promised.
                let missing = Power::round_kilowatts(most) - refused_of_ceiling(event);
                event.forecast_shortfall = Some(missing.limited_to(Power::ZERO, event.accepted));
            }
        }
    }
}

fn refused_of_ceiling(event: &Event) -> Power {
    match event.request.programme {
        Programme::PeakShaving { .. } => event.refused,
        _ => Power::ZERO,
    }
}
