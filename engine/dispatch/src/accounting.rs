//! What came of each event so far, by telemetry. Settlement works from meters; this is what people watch meanwhile.

use vpp_core::{Event, EventId, Interval, Power, Programme, Timestamp};

use crate::baseline::Baseline;
use crate::capability::participants;
use crate::engine::Engine;
use crate::unplanned;

/// What the events that use a station ask of its baseline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaselineSpan {
    /// The end of the last of them.
    pub(crate) until: Timestamp,
    /// Whether all of them are called at short notice.
    pub(crate) real_time: bool,
}

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
            let over = Interval::new(since.max(interval.start()), now.min(interval.end()));
            let Ok(over) = over else { continue };
            let of = |station: &usize| self.baseline_over(*station, over);
            let baseline: Power = members.iter().map(of).sum();
            let (committed, delivered) = self.progress(now, over, event, &members);
            let measured: Power = members.iter().map(|s| self.states[*s].active_power).sum();
            let Some(event) = self.events.get_mut(&id) else {
                continue;
            };
            event.baseline = Some(baseline);
            event.measured = Some(measured);
            event.committed_energy += committed * length;
            event.delivered_energy += delivered.limited_to(Power::ZERO, committed) * length;
        }
    }

    /// What an event may count on now, and what comes.
    fn progress(
        &self,
        now: Timestamp,
        over: Interval,
        event: &Event,
        members: &[usize],
    ) -> (Power, Power) {
        let reduction = |station: &usize| {
            if self.states[*station].is_fresh(now, &self.config) {
                self.baseline_over(*station, over) - self.without_regulation(*station)
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
                let before: Power = members.iter().map(|s| self.baseline_over(*s, over)).sum();
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

    /// What a station would draw over an interval without the programme that uses it; its load before now when none does.
    pub(crate) fn baseline_over(&self, station: usize, interval: Interval) -> Power {
        let baseline = self.states[station].baseline.as_ref();
        baseline.map_or_else(|| self.load_before(station), |b| b.over(interval))
    }

    /// Load of a station over the last minutes in which no event used it.
    pub(crate) fn load_before(&self, station: usize) -> Power {
        let state = &self.states[station];
        state.load.mean().unwrap_or(state.active_power)
    }

    /// What events ask of each station's baseline now.
    pub(crate) fn baseline_spans(&self, now: Timestamp) -> Vec<Option<BaselineSpan>> {
        let mut baseline_spans: Vec<Option<BaselineSpan>> = vec![None; self.states.len()];
        for event in self.working_events(now) {
            let interval = event.request.interval;
            let span = BaselineSpan {
                until: interval.end(),
                real_time: self.is_real_time(event),
            };
            for station in participants(&self.fleet, event) {
                let other = baseline_spans[station].unwrap_or(span);
                baseline_spans[station] = Some(BaselineSpan {
                    until: span.until.max(other.until),
                    real_time: span.real_time && other.real_time,
                });
            }
        }
        baseline_spans
    }

    /// Whether an event is called so shortly before it begins that the load before it is its baseline. What aggregators were
    /// invited to is not, whenever it was cleared: they declared what they can do against what is usual.
    pub(crate) fn is_real_time(&self, event: &Event) -> bool {
        !event.cleared && self.is_short_notice(event.created_at, event.request.interval)
    }

    /// Whether what is called now begins so soon.
    pub(crate) fn is_short_notice(&self, called_at: Timestamp, interval: Interval) -> bool {
        interval.start() - called_at < self.config.real_time_notice
    }

    /// The baseline of a station that events use, where it is not yet frozen that far.
    pub(crate) fn baseline_for(
        &self,
        now: Timestamp,
        station: usize,
        span: BaselineSpan,
    ) -> Option<Baseline> {
        let (state, calendar) = (&self.states[station], &self.config.calendar);
        match state.baseline.as_ref().filter(|b| b.in_event) {
            Some(frozen) if span.real_time || span.until <= frozen.end() => None,
            Some(frozen) => {
                let mut longer = frozen.clone();
                longer.extend(now, span.until, &state.usual, calendar);
                Some(longer)
            }
            None if span.real_time => Some(Baseline::flat(now, self.load_before(station), true)),
            None => {
                let before = (now, self.load_before(station), self.config.baseline_window);
                let usual = &state.usual;
                Some(Baseline::usual(before, span.until, usual, calendar))
            }
        }
    }

    /// What comes on top of the plan of stations until the next cycle, or is missing of it where the plan `fills`: hardly ever more.
    pub(crate) fn expected_unplanned(
        &self,
        now: Timestamp,
        stations: &[usize],
        fills: bool,
    ) -> Power {
        let Some(interval) = unplanned::told_in(now, self.config.cycle) else {
            return Power::ZERO;
        };
        let states = stations.iter().map(|station| &self.states[*station]);
        let callable = states.filter(|state| state.is_callable(now, &self.config));
        let calendar = &self.config.calendar;
        unplanned::expected(callable.map(|s| &s.unplanned), calendar, interval, fills)
    }

    /// The cycle before this one is over: what was drawn beyond its plan is seen.
    pub(crate) fn see_unplanned(&mut self, now: Timestamp) {
        let length = self.config.cycle;
        if let Some(interval) = unplanned::told_in(now - length, length) {
            let (before, calendar) = ((self.cycle - 1, interval), &self.config.calendar);
            for state in &mut self.states {
                // What piles that do not obey draw is provided for besides.
                let planned = state.schedule.map(|schedule| schedule + state.excess);
                state.unplanned.close(calendar, before, planned);
            }
        }
    }
}
