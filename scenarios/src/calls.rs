//! What the grid asks, as it comes due: events and regulation, each as often as it repeats.

use chrono::{Days, TimeDelta, TimeZone};
use chrono_tz::Asia::Shanghai;
use vpp_core::{
    EventId, EventRequest, Interval, Invalid, Power, Programme, RegulationAward, Scope, Timestamp,
};

use crate::format::{EventKind, EventRow, Regulation, Scenario};

impl Scenario {
    /// The events, in the order of the file, each as often as it repeats.
    ///
    /// # Errors
    /// A figure out of range; a scenario from [`Scenario::parse`] has none.
    pub fn event_requests(&self) -> Result<Vec<(EventId, EventRequest)>, Invalid> {
        let mut requests = Vec::new();
        for row in &self.events {
            let intervals = self.occurrences(row.start_offset_s, row.duration_s, row.every_days);
            for (number, interval) in (1..).zip(intervals) {
                requests.push((row.name(number)?, row.request(interval?)?));
            }
        }
        Ok(requests)
    }

    /// When regulation is awarded: as often as it repeats, the earliest first.
    ///
    /// # Errors
    /// A length of zero; a scenario from [`Scenario::parse`] has none.
    pub fn regulation_intervals(&self) -> Result<Vec<Interval>, Invalid> {
        let Some(regulation) = &self.regulation else {
            return Ok(Vec::new());
        };
        let (start, length) = (regulation.start_offset_s, regulation.duration_s);
        self.occurrences(start, length, regulation.every_days)
            .collect()
    }

    /// The intervals of something that lasts `duration_s` and repeats, as long as they end within the scenario; the first in
    /// any case. A local day is as long as the clock of `Asia/Shanghai` says.
    pub(crate) fn occurrences(
        &self,
        start_offset_s: u32,
        duration_s: u32,
        every_days: Option<u32>,
    ) -> impl Iterator<Item = Result<Interval, Invalid>> {
        let end = self.end();
        let length = TimeDelta::seconds(i64::from(duration_s));
        let first = self.start() + TimeDelta::seconds(i64::from(start_offset_s));
        let local = first.with_timezone(&Shanghai).naive_local();
        let starts = (0_u64..).map_while(move |times| match (times, every_days) {
            (0, _) => Some(first),
            (_, None | Some(0)) => None,
            (_, Some(days)) => {
                let day = local.checked_add_days(Days::new(times * u64::from(days)))?;
                let start = Shanghai.from_local_datetime(&day).earliest()?.to_utc();
                (start + length <= end).then_some(start)
            }
        });
        starts.map(move |start: Timestamp| Interval::new(start, start + length))
    }
}

impl EventRow {
    /// The name of the occurrence of that number, from 1; the row's own where it does not repeat.
    ///
    /// # Errors
    /// A name that is too long with its number.
    pub fn name(&self, number: u32) -> Result<EventId, Invalid> {
        match self.every_days {
            None => Ok(self.id.clone()),
            Some(_) => EventId::new(format!("{}-{number:04}", self.id)),
        }
    }

    /// The request for an interval.
    ///
    /// # Errors
    /// A figure out of range, or one that the kind needs and the row lacks.
    pub fn request(&self, interval: Interval) -> Result<EventRequest, Invalid> {
        let need = |field: &str, kw: Option<f64>| match kw {
            Some(kw) => Power::from_kilowatts(field, kw),
            None => Err(Invalid::new(field, "is missing")),
        };
        let programme = match self.kind {
            EventKind::DemandResponse => Programme::DemandResponse {
                reduction: need("reduction_kw", self.reduction_kw)?,
            },
            EventKind::ValleyFilling => Programme::ValleyFilling {
                increase: need("increase_kw", self.increase_kw)?,
            },
            EventKind::PeakShaving => Programme::PeakShaving {
                node: self
                    .node
                    .clone()
                    .ok_or_else(|| Invalid::new("node", "is missing"))?,
                ceiling: need("ceiling_kw", self.ceiling_kw)?,
            },
        };
        let scope = match (&self.aggregator, &self.node) {
            (Some(aggregator), _) => Scope::Aggregator(aggregator.clone()),
            (None, Some(node)) => Scope::Node(node.clone()),
            (None, None) => Scope::All,
        };
        Ok(EventRequest {
            programme,
            interval,
            scope,
        })
    }
}

impl Regulation {
    /// The award.
    #[must_use]
    pub fn award(&self) -> RegulationAward {
        RegulationAward {
            up: Power::round_kilowatts(self.capacity_up_kw),
            down: Power::round_kilowatts(self.capacity_down_kw),
        }
    }

    /// The value in force `offset_s` seconds after the scenario's start, in the first award; none outside it.
    #[must_use]
    pub fn value_at(&self, offset_s: f64) -> Option<f64> {
        self.value_since(offset_s - f64::from(self.start_offset_s))
    }

    /// The value in force `since_s` seconds after an award's begin; none outside the award.
    #[must_use]
    pub fn value_since(&self, since_s: f64) -> Option<f64> {
        if since_s < 0.0 || since_s >= f64::from(self.duration_s) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // not negative, at most 2^32
        let step = (since_s / self.period_s) as usize;
        Some(self.signal[step % self.signal.len()])
    }
}
