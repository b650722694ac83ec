//! What an aggregator counts, in the text format of Prometheus.

use std::fmt::Write as _;

use vpp_core::Unkept;

use crate::stay::Book;

/// All of it.
pub(super) fn text(book: &Book) -> String {
    let mut out = String::new();
    let unkept = book.unkept();
    head(
        &mut out,
        "vpp_unkept_promises_total",
        "Promises to owners of vehicles that were not kept: what they leave with, no charge or discharge outside their windows.",
    );
    for (promise, cause) in Unkept::each() {
        let _ = writeln!(
            out,
            "vpp_unkept_promises_total{{promise=\"{}\",cause=\"{}\"}} {}",
            promise.name(),
            cause.name(),
            unkept.count(promise, cause)
        );
    }
    head(
        &mut out,
        "vpp_unkept_promises_kwh_total",
        "By how much, at the battery.",
    );
    for (promise, cause) in Unkept::each() {
        let _ = writeln!(
            out,
            "vpp_unkept_promises_kwh_total{{promise=\"{}\",cause=\"{}\"}} {}",
            promise.name(),
            cause.name(),
            unkept.energy(promise, cause).as_kilowatt_hours()
        );
    }
    let expected = book.expectations();
    for (name, meaning, count) in [
        (
            "vpp_expected_stays_total",
            "Stays that are over of vehicles that said nothing, of which the station's habits told something.",
            expected.stays,
        ),
        (
            "vpp_expected_stays_lasted_total",
            "Those of them that lasted as long as expected.",
            expected.lasted,
        ),
        (
            "vpp_expected_stays_sufficed_total",
            "Those of them that wanted no more than expected.",
            expected.sufficed,
        ),
    ] {
        head(&mut out, name, meaning);
        let _ = writeln!(out, "{name} {count}");
    }
    let doubts = book.doubts();
    head(
        &mut out,
        "vpp_doubted_readings_total",
        "Readings of piles that were not taken as they were.",
    );
    for (what, count) in [
        ("unknown_piles", doubts.unknown_piles),
        ("bad_sessions", doubts.bad_sessions),
        ("bad_batteries", doubts.bad_batteries),
        ("doubled_vehicles", doubts.doubled_vehicles),
    ] {
        let _ = writeln!(out, "vpp_doubted_readings_total{{what=\"{what}\"}} {count}");
    }
    head(
        &mut out,
        "vpp_cut_setpoints_total",
        "Setpoints that had to be cut to a reservation or a warranty after all.",
    );
    let _ = writeln!(out, "vpp_cut_setpoints_total {}", doubts.cut_setpoints);
    out
}

fn head(out: &mut String, name: &str, meaning: &str) {
    let _ = writeln!(out, "# HELP {name} {meaning}\n# TYPE {name} counter");
}
