//! What the grid calls: events some time before they begin, and the regulation signal.

use std::collections::VecDeque;

use chrono::TimeDelta;
use vpp_core::{EventId, EventRequest, Interval, Invalid, Timestamp};
use vpp_scenarios::Scenario;
use vpp_scenarios::format::Regulation;

/// So long before it begins an event is called, and what can be promised is asked; at the start if that is later.
const NOTICE: TimeDelta = TimeDelta::minutes(30);

/// Events to come.
#[derive(Debug)]
pub(crate) struct Events {
    /// The soonest last.
    to_call: Vec<(Timestamp, EventId, EventRequest)>,
}

impl Events {
    pub(crate) fn of(scenario: &Scenario) -> Result<Events, Invalid> {
        let requests = scenario.event_requests()?;
        let called = requests
            .into_iter()
            .map(|(id, request)| (request.interval.start() - NOTICE, id, request));
        let mut to_call: Vec<_> = called.collect();
        // A stable sort: of those that are called at once, the first of the file first.
        to_call.reverse();
        to_call.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        Ok(Events { to_call })
    }

    /// How many were not called yet.
    pub(crate) fn left(&self) -> usize {
        self.to_call.len()
    }

    /// Takes all others for called.
    pub(crate) fn leave(&mut self, left: usize) {
        self.to_call.truncate(left);
    }

    /// One that is to be called by now.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<(EventId, EventRequest)> {
        let (_, id, request) = self.to_call.pop_if(|(at, ..)| *at <= now)?;
        Some((id, request))
    }
}

/// The regulation signal of a scenario.
#[derive(Debug)]
pub(crate) struct Signal {
    regulation: Regulation,
    period: TimeDelta,
    /// Awards that are not over, the earliest first; at least one, the last one stays.
    windows: VecDeque<Interval>,
    pub(crate) sequence: u64,
}

impl Signal {
    pub(crate) fn of(scenario: &Scenario) -> Result<Option<Signal>, Invalid> {
        let Some(regulation) = scenario.regulation.clone() else {
            return Ok(None);
        };
        #[allow(clippy::cast_possible_truncation)] // milliseconds of a checked scenario
        let period = TimeDelta::milliseconds((regulation.period_s * 1e3).round() as i64);
        Ok(Some(Signal {
            regulation,
            period: period.max(TimeDelta::seconds(1)),
            windows: scenario.regulation_intervals()?.into(),
            sequence: 0,
        }))
    }

    pub(crate) fn regulation(&self) -> &Regulation {
        &self.regulation
    }

    /// The award that is on or comes next, or was the last.
    pub(crate) fn window(&self) -> Option<Interval> {
        self.windows.front().copied()
    }

    /// Leaves what is over behind, when another award follows.
    pub(crate) fn turn(&mut self, now: Timestamp) {
        while self.windows.len() > 1 && self.windows[0].end() < now {
            self.windows.pop_front();
        }
    }

    /// When the next value after `now` comes, or the award ends; none after the last.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let window = self.windows.iter().find(|window| now < window.end())?;
        if now < window.start() {
            return Some(window.start());
        }
        let passed = (now - window.start()).num_milliseconds() / self.period.num_milliseconds();
        let next = window.start() + self.period * i32::try_from(passed + 1).ok()?;
        Some(next.min(window.end()))
    }

    /// How many awards are not over, and how many values were sent.
    pub(crate) fn place(&self) -> (usize, u64) {
        (self.windows.len(), self.sequence)
    }

    /// Goes on from such a place.
    pub(crate) fn go_on(&mut self, (windows, sequence): (usize, u64)) {
        let over = self.windows.len().saturating_sub(windows);
        self.windows.drain(..over);
        self.sequence = sequence;
    }

    /// The value that comes at `now`.
    pub(crate) fn value(&self, now: Timestamp) -> Option<f64> {
        let since = now - self.window()?.start();
        if since.num_milliseconds() % self.period.num_milliseconds() != 0 {
            return None;
        }
        self.regulation.value_since(since.as_seconds_f64())
    }
}
