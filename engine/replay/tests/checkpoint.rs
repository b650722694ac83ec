//! A run that is killed goes on from where it was saved, and the same comes of it, bit for bit.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use vpp_replay::folder::{self, CHECKPOINT_FILE, Options};
use vpp_scenarios::Scenario;

/// Nine days of eight scenes and a swap station, with all that a state has to remember: events, a regulation signal, faults that
/// hold reports and commands back, a subsidy that is used up, vehicles that say nothing, forecasts that are judged.
fn scenario() -> Scenario {
    const MORE: &str = r#"
[dispatch]
cycle_s = 900
step_s = 900
orderly = "all"

[subsidy]
discharge_cny_per_kwh = 2
budget_cny = 1500

[regulation]
capacity_up_kw = 60
capacity_down_kw = 60
start_offset_s = 93600
duration_s = 1200
period_s = 4
signal = [0, 0.2, 0.5, 0.9, 1, 0.6, 0, -0.4, -0.8, -1, -0.5, 0]

[[fault]]
id = "late"
kind = "telemetry_late"
start_offset_s = 180000
duration_s = 7200
delay_s = 2000
node = "line-2"

[[fault]]
id = "away"
kind = "broker_away"
start_offset_s = 260000
duration_s = 4000
aggregator = "agg-b"

[[fault]]
id = "silent"
kind = "station_silent"
start_offset_s = 350000
duration_s = 90000
node = "line-1"

[[event]]
id = "dr-later"
kind = "demand_response"
start_offset_s = 691200
duration_s = 3600
reduction_kw = 150

# assumption: what is called"#;
    let text = include_str!("../../../scenarios/baiyun-scenes.toml");
    let changes = [
        ("duration_minutes = 60", "duration_minutes = 12960"),
        ("start_offset_s = 120\n", "start_offset_s = 86400\n"),
        (
            "v2g_consent_share = 0.6",
            "v2g_consent_share = 0.6\nstated_share = 0.5",
        ),
        ("# assumption: what is called", MORE),
        (
            "v2g_dc = 40, profile = \"bus",
            "v2g_dc = 40, regulates = true, profile = \"bus",
        ),
        (
            "v2g_dc = 40, profile = \"log",
            "v2g_dc = 40, regulates = true, profile = \"log",
        ),
    ];
    let changed = changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    Scenario::parse(&changed).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap())
    });
    entries.collect()
}

fn same(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    assert!(
        one.keys().eq(other.keys()),
        "{:?} {:?}",
        one.keys(),
        other.keys()
    );
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name} differs");
    }
}

fn options(checkpoint_every: Duration) -> Options {
    Options {
        checkpoint_every: Some(checkpoint_every),
        ..Options::default()
    }
}

/// Replays until so many steps were made, and breaks off there as if it were killed: how many steps it was further than where it
/// began, none if it came to its end.
fn broken_off(scenario: &Scenario, folder: &Path, after: usize) -> Option<usize> {
    let mut steps = 0;
    let run = AssertUnwindSafe(|| {
        folder::replay(scenario, folder, options(Duration::ZERO), |_| {
            steps += 1;
            // Without a message, which a panic would write.
            if steps > after {
                std::panic::resume_unwind(Box::new("killed"));
            }
        })
        .unwrap();
    });
    catch_unwind(run).is_err().then_some(steps)
}

#[test]
fn a_run_that_is_killed_again_and_again_comes_to_the_same() {
    let scenario = scenario();
    let (whole, often) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let never = options(Duration::MAX);
    let mut steps = 0;
    let summary = folder::replay(&scenario, whole.path(), never, |_| steps += 1).unwrap();
    // All that matters has happened.
    assert!(summary.events.events == 2 && summary.events.promised_kwh > 10.0);
    assert!(
        summary
            .regulation
            .as_ref()
            .is_some_and(|of| of.values > 100)
    );
    assert!(summary.money.subsidy_cny > 1.0, "{:?}", summary.money);
    assert!(summary.reliability.is_some());
    let mut done = 0;
    let mut kills = 0;
    // Lengths that fall on a fault, the event, the signal and all that is between.
    for after in [1, 7, 30, 61, 97, 3, 500, 2].into_iter().cycle() {
        let Some(further) = broken_off(&scenario, often.path(), after) else {
            break;
        };
        (done, kills) = (done + further, kills + 1);
        assert!(kills < 4 || often.path().join(CHECKPOINT_FILE).exists());
    }
    // While a signal is followed nothing is saved; otherwise nothing is lived through twice but the first of each time.
    assert!(
        kills > 10 && done < 2 * steps,
        "{kills} times, {done} of {steps}"
    );
    same(whole.path(), often.path());
}
