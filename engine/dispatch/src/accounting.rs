//! What came of each event so far, by telemetry. Settlement works from meters; this is what people watch meanwhile.

use vpp_core::{Event, EventId, Power, Programme, Timestamp};

use crate::capability::participants;
use crate::engine::Engine;

impl Engine {
    /// Adds what was committed and delivered since the last time.
    pub(crate) fn account_until(&mut self, now: Timestamp) {
        let since = self.accounted_at.replace(now).unwrap_or(now);
        self.spend_subsidy(now, now - since);
        let open: Vec<EventId> = self.open_events().map(|event| event.id.clone()).collect();
        for id in open {
            let event = &self.events[&id];
            let interval = event.request.interval;
            let length = now.min(interval.end()) - since.max(interval.start());
            if length <= chrono::TimeDelta::zero() {
                continue;
            }
            let members = participants(&self.fleet, event);
            let (committed, delivered) = self.progress(now, event, &members);
            let baseline: Power = members.iter().map(|s| self.baseline_of(*s)).sum();
            let measured: Power = members.iter().map(|s| self.states[*s].active_power).sum();
            let Some(event) = self.events.get_mut(&id) else {
                continue;
            };
            event.baseline = Some(event.baseline.unwrap_or(baseline));
            event.measured = Some(measured);
            event.committed_energy += committed * length;
            event.delivered_energy += delivered.limited_to(Power::ZERO, committed) * length;
        }
    }

    /// What an event may count on now, and what comes.
    fn progress(&self, now: Timestamp, event: &Event, members: &[usize]) -> (Power, Power) {
        let reduction = |station: &usize| {
            if self.states[*station].is_fresh(now, &self.config) {
                self.baseline_of(*station) - self.without_regulation(*station)
            } else {
                // What cannot be seen is not claimed.
                Power::ZERO
            }
        };
        match &event.request.programme {
            Programme::DemandResponse { .. } => {
                let all: Power = members.iter().map(reduction).sum();
                (event.accepted, all - self.shaved_within(members, now))
            }
            Programme::ValleyFilling { .. } => {
                let all: Power = members.iter().map(reduction).sum();
                (event.accepted, -all)
            }
            Programme::PeakShaving { node, ceiling } => {
                let base = self.base_below(now, node);
                let before: Power = members.iter().map(|s| self.baseline_of(*s)).sum();
                let draw: Power = members.iter().map(|s| self.states[*s].active_power).sum();
                let needed = (base + before - *ceiling).max(Power::ZERO);
                let excess = (base + draw - *ceiling).max(Power::ZERO);
                // What was refused does not count against what was promised.
                (needed.min(event.accepted), needed - excess)
            }
        }
    }

    /// Reduction that peak shaving takes from the same stations: it is not sold again as demand response.
    pub(crate) fn shaved_within(&self, members: &[usize], now: Timestamp) -> Power {
        let shaving = self
            .working_events(now)
            .filter(|event| matches!(event.request.programme, Programme::PeakShaving { .. }));
        let shares_a_station = |event: &&Event| {
            let theirs = participants(&self.fleet, event);
            theirs.iter().any(|s| members.binary_search(s).is_ok())
        };
        shaving
            .filter(shares_a_station)
            .map(|event| event.accepted)
            .sum()
    }

    /// Draw of a station before the programme that uses it; of now when none does.
    pub(crate) fn baseline_of(&self, station: usize) -> Power {
        let state = &self.states[station];
        state
            .baseline
            .or_else(|| state.load.mean())
            .unwrap_or(state.active_power)
    }
}
