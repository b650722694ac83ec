#![allow(clippy::unwrap_used)]

use super::*;
use crate::RuleError;

/// A plant at rest for 60 s, then asked for `target`, where it is given by `got` for so many seconds, once a second.
fn step(target: f64, seconds: u32, got: impl Fn(f64) -> f64) -> Step {
    let rest = (0..60).map(|s| Sample {
        at_s: f64::from(s),
        asked_kw: 0.0,
        got_kw: 0.0,
    });
    let moved = (0..=seconds).map(|s| Sample {
        at_s: 60.0 + f64::from(s),
        asked_kw: target,
        got_kw: got(f64::from(s)),
    });
    Step {
        repetition: 1,
        share: target.signum(),
        target_kw: target,
        ordered_at_s: 60.0,
        samples: rest.chain(moved).collect(),
    }
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

fn measure(step: &Step) -> StepResult {
    CapabilityRules::standard()
        .measure(step, Purpose::Regulation)
        .unwrap()
}

#[test]
fn a_straight_ramp_by_hand() {
    // Nothing for 2 s, then 10 kW a second up to 100 kW at 12 s, and there it stays until 180 s.
    let result = measure(&step(100.0, 180, |s| ((s - 2.0) * 10.0).clamp(0.0, 100.0)));
    // 5 kW is passed with the sample at 3 s (10 kW).
    near(result.response_s.unwrap(), 3.0);
    // 10 kW at 3 s, 90 kW at 11 s: 80 kW in 8 s.
    near(result.ramp_kw_per_min.unwrap(), 600.0);
    // Within 98 to 102 kW from 12 s on.
    near(result.settled_s.unwrap(), 12.0);
    near(result.sustain_s, 168.0);
    near(result.deviation, 0.0);
    near(result.kept_kw, 100.0);
    assert!(!result.left);
}

#[test]
fn down_is_the_mirror_of_up() {
    let shape = |s: f64| ((s - 2.0) * 10.0).clamp(0.0, 97.0);
    let up = measure(&step(100.0, 180, shape));
    let down = measure(&step(-100.0, 180, |s| -shape(s)));
    assert_eq!(
        (up.response_s, up.ramp_kw_per_min, up.settled_s),
        (down.response_s, down.ramp_kw_per_min, down.settled_s)
    );
    // 97 kW is outside ±2 %: it never settles, and is 3 % short.
    assert_eq!(down.settled_s, None);
    near(down.deviation, -0.03);
    near(down.kept_kw, 97.0);
    // Inside ±10 %, which is enough for demand response.
    let rules = CapabilityRules::standard();
    let wide = rules
        .measure(&step(100.0, 180, shape), Purpose::DemandResponse)
        .unwrap();
    // 90 kW at 11 s.
    near(wide.settled_s.unwrap(), 11.0);
}

#[test]
fn a_plant_that_stays_where_it_is_has_no_response() {
    let result = measure(&step(100.0, 180, |_| 0.0));
    assert_eq!(result.response_s, None);
    assert_eq!(result.ramp_kw_per_min, None);
    assert_eq!(result.settled_s, None);
    near(result.sustain_s, 0.0);
    near(result.deviation, -1.0);
    near(result.kept_kw, 0.0);
}

#[test]
fn leaving_the_band_ends_the_sustain() {
    let result = measure(&step(100.0, 180, |s| if s < 100.0 { 100.0 } else { 90.0 }));
    near(result.settled_s.unwrap(), 0.0);
    near(result.sustain_s, 100.0);
    assert!(result.left);
    near(result.kept_kw, 90.0);
}

#[test]
fn the_worst_repetition_counts() {
    let rules = CapabilityRules::standard();
    let mut results: Vec<StepResult> = [100.0, 99.0, 98.5]
        .iter()
        .map(|end| measure(&step(100.0, 180, |s| (s * 20.0).min(*end))))
        .collect();
    results.push(measure(&step(-50.0, 180, |s| -(s * 5.0).min(50.0))));
    let capability = rules.conclude(&results).unwrap();
    near(capability.kept_kw[0], 98.5);
    near(capability.kept_kw[1], 50.0);
    near(capability.adjustable_kw(), 148.5);
    near(capability.kept_share(), 0.985);
    // Down is the slower: 40 kW (5 to 45) in 8 s is 300 kW/min of 148.5 kW.
    near(capability.ramp_per_min.unwrap(), 300.0 / 148.5);
    assert_eq!(capability.worst.len(), 2);
    // One that never moves makes the whole never move.
    results.push(measure(&step(100.0, 180, |_| 0.0)));
    let capability = rules.conclude(&results).unwrap();
    assert_eq!(capability.worst[0].response_s, None);
    assert_eq!(capability.ramp_per_min, None);
    near(capability.kept_share(), 0.0);
}

#[test]
fn bad_traces_are_refused() {
    type Spoil = fn(&mut Step);
    let table: [(&str, Spoil); 6] = [
        ("target_kw", |s| s.target_kw = 0.0),
        ("target_kw", |s| s.target_kw = f64::NAN),
        ("samples[3]", |s| s.samples[3].got_kw = f64::INFINITY),
        ("samples[4].at_s", |s| s.samples[4].at_s = 1.0),
        ("samples", |s| drop(s.samples.drain(..60))),
        ("samples", |s| s.samples.truncate(60)),
    ];
    for (field, spoil) in table {
        let mut step = step(100.0, 180, |_| 100.0);
        spoil(&mut step);
        let rules = CapabilityRules::standard();
        let error = rules.measure(&step, Purpose::Regulation).unwrap_err();
        assert_eq!(error.field, field);
    }
    assert!(CapabilityRules::standard().conclude(&[]).is_err());
}

#[test]
fn impossible_packs_are_refused_with_the_line() {
    let text = include_str!("../../rules/capability-test.toml");
    let spoilt = [
        ("value = [0.25, 0.5, 1.0]", "value = [0.5, 0.25]", "steps"),
        ("value = 3\n", "value = 0\n", "repeats"),
        ("value = 180.0", "value = 30.0", "settle_s"),
        ("value = 0.05", "value = nan", "threshold"),
    ];
    for (from, to, field) in spoilt {
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let error = CapabilityRules::parse(&wrong).unwrap_err();
        let RuleError::Invalid { line, invalid } = error else {
            panic!("{error}");
        };
        assert_eq!(invalid.field, field);
        assert!(line > 1);
    }
}
