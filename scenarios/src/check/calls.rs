//! Checks of what the grid asks: events and regulation.

use vpp_core::units::MAX_KILOWATTS;
use vpp_core::{AggregatorId, NodeId};

use super::Findings;
use crate::format::{EventKind, EventRow, Scenario};

impl Scenario {
    pub(super) fn check_events(&self, findings: &mut Findings) {
        let names = self.events.iter().enumerate();
        findings.unique(
            "event",
            names.map(|(i, row)| (format!("event[{i}].id"), row.id.as_str())),
        );
        for (i, row) in self.events.iter().enumerate() {
            let at = format!("event[{i}]");
            self.check_span(findings, &at, row.start_offset_s, row.duration_s);
            check_repetition(findings, &at, row.every_days, row.duration_s);
            self.check_scope(findings, &at, row.aggregator.as_ref(), row.node.as_ref());
            check_kind(findings, &at, row);
        }
        self.check_names(findings);
    }

    /// The names of what repeats must be names, and no other event's.
    fn check_names(&self, findings: &mut Findings) {
        let single = self.events.iter().filter(|row| row.every_days.is_none());
        let taken: std::collections::BTreeSet<&str> = single.map(|row| row.id.as_str()).collect();
        for (i, row) in self.events.iter().enumerate() {
            if row.every_days.is_none_or(|days| days == 0) || row.duration_s == 0 {
                continue;
            }
            let count = self
                .occurrences(row.start_offset_s, row.duration_s, row.every_days)
                .count();
            for number in 1..=u32::try_from(count).unwrap_or(u32::MAX) {
                let path = format!("event[{i}].id");
                match row.name(number) {
                    Err(invalid) => {
                        findings.add(path, invalid.problem);
                        break;
                    }
                    Ok(name) if taken.contains(name.as_str()) => {
                        let message = format!("its occurrence {name} is another event's name");
                        findings.add(path, message);
                    }
                    Ok(_) => {}
                }
            }
        }
    }

    pub(super) fn check_scope(
        &self,
        findings: &mut Findings,
        at: &str,
        aggregator: Option<&AggregatorId>,
        node: Option<&NodeId>,
    ) {
        if let Some(aggregator) = aggregator
            && !self.aggregators.iter().any(|row| row.id == *aggregator)
        {
            let known = self.aggregators.iter().map(|row| row.id.as_str());
            let path = format!("{at}.aggregator");
            findings.known(path, "aggregator", aggregator.as_str(), known);
        }
        if let Some(node) = node
            && !self.nodes.iter().any(|row| row.id == *node)
        {
            let known = self.nodes.iter().map(|row| row.id.as_str());
            findings.known(format!("{at}.node"), "node", node.as_str(), known);
        }
        if aggregator.is_some() && node.is_some() {
            let message = "aggregator and node together; a scope is one of them";
            findings.add(format!("{at}.aggregator"), message);
        }
    }

    pub(super) fn check_regulation(&self, findings: &mut Findings) {
        let Some(regulation) = &self.regulation else {
            return;
        };
        let (up, down) = (regulation.capacity_up_kw, regulation.capacity_down_kw);
        findings.power("regulation.capacity_up_kw", up);
        findings.power("regulation.capacity_down_kw", down);
        if up <= 0.0 && down <= 0.0 {
            let message = "capacity 0 up and 0 down; one of them must be positive";
            findings.add("regulation.capacity_up_kw", message);
        }
        self.check_span(
            findings,
            "regulation",
            regulation.start_offset_s,
            regulation.duration_s,
        );
        let (every_days, duration_s) = (regulation.every_days, regulation.duration_s);
        check_repetition(findings, "regulation", every_days, duration_s);
        findings.within("regulation.period_s", regulation.period_s, 0.1, 3600.0);
        if regulation.signal.is_empty() {
            findings.add("regulation.signal", "no value; at least 1 is needed");
        }
        for (i, &value) in regulation.signal.iter().enumerate() {
            findings.within(format!("regulation.signal[{i}]"), value, -1.0, 1.0);
        }
        if !self.fleet.stations.iter().any(|row| row.regulates) {
            let message = "no station is enrolled in regulation";
            findings.add_hint(
                "regulation",
                message,
                "set `regulates = true` in rows of fleet.stations",
            );
        }
    }

    pub(super) fn check_span(
        &self,
        findings: &mut Findings,
        at: &str,
        start_s: u32,
        duration_s: u32,
    ) {
        if duration_s == 0 {
            findings.add(format!("{at}.duration_s"), "0 is not positive");
        }
        let end = u64::from(start_s) + u64::from(duration_s);
        let last = u64::from(self.header.duration_minutes) * 60;
        if end > last {
            let message = format!("ends at {end} s, after the scenario's end at {last} s");
            findings.add(format!("{at}.duration_s"), message);
        }
    }
}

fn check_repetition(findings: &mut Findings, at: &str, every_days: Option<u32>, duration_s: u32) {
    let Some(days) = every_days else { return };
    findings.within(format!("{at}.every_days"), f64::from(days), 1.0, 366.0);
    if u64::from(duration_s) > u64::from(days) * 86_400 {
        let message =
            format!("{duration_s} s last longer than {days} days; it would overlap itself");
        findings.add(format!("{at}.every_days"), message);
    }
}

fn check_kind(findings: &mut Findings, at: &str, row: &EventRow) {
    let stray = |findings: &mut Findings, key: &str, given: bool, kind: &str| {
        if given {
            findings.add(format!("{at}.{key}"), format!("is not for {kind}"));
        }
    };
    let kilowatts = [
        ("reduction_kw", row.reduction_kw, EventKind::DemandResponse),
        ("increase_kw", row.increase_kw, EventKind::ValleyFilling),
        ("ceiling_kw", row.ceiling_kw, EventKind::PeakShaving),
    ];
    let kind = match row.kind {
        EventKind::DemandResponse => "demand_response",
        EventKind::ValleyFilling => "valley_filling",
        EventKind::PeakShaving => "peak_shaving",
    };
    for (key, given, of) in kilowatts {
        match given {
            None if of == row.kind => findings.add(at, format!("{kind} needs {key}")),
            Some(_) if of != row.kind => stray(findings, key, true, kind),
            Some(kw) if of == EventKind::PeakShaving => {
                findings.power(format!("{at}.{key}"), kw);
            }
            Some(kw) => findings.positive(format!("{at}.{key}"), kw, MAX_KILOWATTS),
            None => {}
        }
    }
    if row.kind == EventKind::PeakShaving {
        if row.node.is_none() {
            findings.add(at, "peak_shaving needs node");
        }
        stray(findings, "aggregator", row.aggregator.is_some(), kind);
    }
}
