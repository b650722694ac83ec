//! Checks of `[[fault]]`.

use vpp_core::AggregatorId;

use super::Findings;
use crate::format::{FaultKind, FaultRow, Scenario};

/// A day late is lost.
const MAX_SECONDS: f64 = 86_400.0;

impl Scenario {
    pub(super) fn check_faults(&self, findings: &mut Findings) {
        let names = self.faults.iter().enumerate();
        findings.unique(
            "fault",
            names.map(|(i, row)| (format!("fault[{i}].id"), row.id.as_str())),
        );
        for (i, row) in self.faults.iter().enumerate() {
            let at = format!("fault[{i}]");
            // A name like any other, whatever it is the name of.
            if let Err(invalid) = AggregatorId::new(row.id.as_str()) {
                findings.add(format!("{at}.id"), invalid.problem);
            }
            self.check_span(findings, &at, row.start_offset_s, row.duration_s);
            self.check_scope(findings, &at, row.aggregator.as_ref(), row.node.as_ref());
            if let Some(share) = row.share {
                findings.within(format!("{at}.share"), share, 0.0, 1.0);
            }
            check_kind(findings, &at, row);
        }
    }
}

fn check_kind(findings: &mut Findings, at: &str, row: &FaultRow) {
    let kind = row.kind.name();
    let figures = [
        (
            "delay_s",
            row.delay_s,
            FaultKind::TelemetryLate,
            0.001,
            MAX_SECONDS,
        ),
        (
            "skew_s",
            row.skew_s,
            FaultKind::ClockSkew,
            -MAX_SECONDS,
            MAX_SECONDS,
        ),
        ("factor", row.factor, FaultKind::WrongForecast, 0.0, 100.0),
    ];
    for (key, given, of, low, high) in figures {
        match given {
            None if of == row.kind => findings.add(at, format!("{kind} needs {key}")),
            Some(_) if of != row.kind => {
                findings.add(format!("{at}.{key}"), format!("is not for {kind}"));
            }
            Some(value) => findings.within(format!("{at}.{key}"), value, low, high),
            None => {}
        }
    }
    if row.kind.is_of_aggregators() {
        for (key, given) in [("node", row.node.is_some()), ("share", row.share.is_some())] {
            if given {
                let message = format!("is not for {kind}, which befalls an aggregator or all");
                findings.add(format!("{at}.{key}"), message);
            }
        }
    }
}
