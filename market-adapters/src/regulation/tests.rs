use super::composite::CompositeRules;
use super::performance::PerformanceRules;
use super::*;
use rust_decimal::Decimal;

/// A record of a plant of 10 MW from `(seconds, asked kW, got kW)`.
fn record(samples: &[(f64, f64, f64)]) -> Record {
    let sample = |&(at_s, asked_kw, got_kw): &(f64, f64, f64)| Sample {
        at_s,
        asked_kw,
        got_kw,
    };
    Record::new(10_000.0, samples.iter().map(sample).collect()).unwrap()
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// 5 MW asked for; nothing for 6 s, then 500 kW/s.
///
/// By hand: movement counts from 0.2 % = 20 kW, at 6.04 s; the target from 5,000 − 2 % of 10,000 = 4,800 kW, at 15.6 s.
/// Ramp (4,800 − 20) / 9.56 s = 500 kW/s = 3 × rated a minute, so k1 = 3 against storage's 1. k2 = 1 − 6.04/60. The
/// error from 15.6 s on: a triangle of 200 kW over 0.4 s in 44.4 s, so 0.9009 kW; k3 = 1 − 0.9009/200.
#[test]
fn a_command_is_scored_as_by_hand() {
    let record = record(&[
        (0.0, 5_000.0, 0.0),
        (6.0, 5_000.0, 0.0),
        (16.0, 5_000.0, 5_000.0),
        (60.0, 5_000.0, 5_000.0),
    ]);
    let rules = CompositeRules::by_name("hunan-2025").unwrap();
    let score = rules.score(&record);
    let [command] = score.commands[..] else {
        panic!("{score:?}");
    };
    assert_near(command.response_s, 6.04);
    assert_near(command.ramp_kw_per_min, 30_000.0);
    assert_near(command.k1, 3.0);
    assert_near(command.k2, 1.0 - 6.04 / 60.0);
    assert_near(command.error_kw, 0.5 * 200.0 * 0.4 / 44.4);
    assert_near(command.k3, 1.0 - 40.0 / 44.4 / 200.0);
    // 1.2 + 0.3 · 0.899333 + 0.3 · 0.995495 = 1.768449
    assert_eq!(score.k, Some(decimal("1.77")));
    assert!(score.admitted);
    assert_near(score.mileage_kw, 5_000.0);
    // 5 MW · 12 CNY/MW · 1.77
    assert_eq!(rules.fee(&score, decimal("12")).as_cny(), decimal("106.20"));
    // 0.5 · 3 + 0.25 · (1 − 6.04/300) + 0.25 · (1 − E/150), reached at 4,850 kW, 15.7 s: E = 0.5 · 150 · 0.3/44.3
    let southern = CompositeRules::by_name("southern-2025")
        .unwrap()
        .score(&record);
    let error = 0.5 * 150.0 * 0.3 / 44.3;
    let expected = 1.5 + 0.25 * (1.0 - 6.04 / 300.0) + 0.25 * (1.0 - error / 150.0);
    assert_near(southern.commands[0].k, expected);
}

/// By hand: the first command moves by 1 MW of 4, a ramp of 200 kW/s from 20 kW on, and never arrives; the error from
/// its first movement at 0.1 s is 4,000 − 1,000 at the end, 3,448.9… on the way. The second goes the wrong way: nothing
/// is earned. The third asks for no movement: not effective.
#[test]
fn commands_missed_earn_little_and_small_ones_do_not_count() {
    let record = record(&[
        (0.0, 4_000.0, 0.0),
        (5.0, 4_000.0, 1_000.0),
        (10.0, 3_000.0, 1_000.0),
        (20.0, 900.0, 900.0),
        (30.0, 900.0, 900.0),
    ]);
    let score = CompositeRules::by_name("hunan-2025")
        .unwrap()
        .score(&record);
    let [first, second] = score.commands[..] else {
        panic!("{score:?}");
    };
    assert_near(first.response_s, 0.1);
    assert_near(first.ramp_kw_per_min, 60.0 * 980.0 / 9.9);
    assert_near(first.k3, 0.0);
    assert_near(first.mileage_kw, 1_000.0);
    assert_near(second.ramp_kw_per_min, 0.0);
    assert_near(second.k, 0.0);
    assert_near(second.mileage_kw, 100.0);
}

#[test]
fn a_fee_stops_growing_at_the_cap() {
    let rules = CompositeRules::by_name("hunan-2025").unwrap();
    let mut score = rules.score(&record(&[(0.0, 5_000.0, 0.0), (1.0, 5_000.0, 5_000.0)]));
    score.k = Some(decimal("2.40"));
    // 5 MW · 10 CNY/MW · min(2.40, 2)
    assert_eq!(rules.fee(&score, decimal("10")).as_cny(), decimal("100.00"));
}

#[test]
fn nobody_is_told_that_stand_ins_are_the_rule() {
    for pack in CompositeRules::known() {
        assert!(!pack.is_sourced(), "{}", pack.pack());
    }
    let zone = |text: &str| text.parse::<vpp_core::Timestamp>().unwrap();
    let hunan = CompositeRules::by_name("hunan-2025").unwrap();
    assert!(
        hunan
            .require_in_force(zone("2025-10-23T15:59:59Z"))
            .is_err()
    );
    assert!(hunan.require_in_force(zone("2025-10-23T16:00:00Z")).is_ok());
}

/// An hour of a triangle of 600 s, every 10 s, with the response so many seconds later and so much smaller.
fn triangle(late_s: f64, share: f64) -> Record {
    let wave = |at: f64| {
        let phase = (at / 600.0).rem_euclid(1.0);
        8_000.0 * (4.0 * (phase - 0.5).abs() - 1.0)
    };
    let sample = |k: u32| {
        let at_s = 10.0 * f64::from(k);
        Sample {
            at_s,
            asked_kw: wave(at_s),
            got_kw: share * wave(at_s - late_s),
        }
    };
    Record::new(10_000.0, (0..=360).map(sample).collect()).unwrap()
}

/// An hour of a signal that jumps between up and down as if by chance (a shift register of 9 bits), with the response
/// so many samples of 10 s later.
fn jumps(late: usize) -> Record {
    let mut bits = 0b1_0110_1011_u32;
    let mut chain = Vec::new();
    for _ in 0..400 {
        let next = (bits ^ (bits >> 4)) & 1;
        bits = (bits >> 1) | (next << 8);
        chain.push(if next == 1 { 6_000.0 } else { -6_000.0 });
    }
    let sample = |k: u32| {
        let at = 30 + k as usize;
        Sample {
            at_s: 10.0 * f64::from(k),
            asked_kw: chain[at],
            got_kw: chain[at - late],
        }
    };
    Record::new(10_000.0, (0..=360).map(sample).collect()).unwrap()
}

/// Such a signal is like itself at one shift only: there it is exactly alike, and delay is 1 − 60/300.
#[test]
fn a_late_response_is_found() {
    let score = PerformanceRules::pjm().score(&jumps(6)).unwrap();
    assert_near(score.accuracy, 1.0);
    assert_near(score.delay, 0.8);
    // One sample late is within the allowance for precision, and at once is no worse.
    let at_once = PerformanceRules::pjm().score(&jumps(0)).unwrap();
    assert_near(at_once.score, 1.0);
    let score = PerformanceRules::pjm().score(&jumps(1)).unwrap();
    assert_near(score.precision, 1.0);
    assert_near(score.score, (1.0 + (1.0 - 1.0 / 30.0) + 1.0) / 3.0);
    assert!(score.passed);
}

/// By hand: after 10 s of allowance a response 60 s late is 50 s late. The wave changes by 16,000 kW in 300 s, so by
/// 2,667 kW in 50 s where it does not turn. Around each turn, for 50 s, the difference goes linearly through 0 from one
/// sign to the other, so its mean magnitude over half a period is (250 · 2,667 + 50 · 1,333)/300 = 2,444 kW; that of the
/// wave is 4,000 kW. Half the response has half the wave missing.
#[test]
fn precision_is_as_by_hand() {
    let precision = |late_s: f64, share: f64| {
        let score = PerformanceRules::pjm()
            .score(&triangle(late_s, share))
            .unwrap();
        assert_near(
            score.score,
            (score.accuracy + score.delay + score.precision) / 3.0,
        );
        score.precision
    };
    // Samples of 10 s cut the turns a little.
    assert!((precision(60.0, 1.0) - (1.0 - 2_444.4 / 4_000.0)).abs() < 0.01);
    assert!((precision(10.0, 0.5) - 0.5).abs() < 0.01);
    assert_near(precision(0.0, -1.0), 0.0);
}

/// An hour, every 10 s, of what is asked for and what is got, kW.
fn hour(of: impl Fn(u32) -> (f64, f64)) -> Record {
    let sample = |k: u32| {
        let (asked_kw, got_kw) = of(k);
        let at_s = 10.0 * f64::from(k);
        Sample {
            at_s,
            asked_kw,
            got_kw,
        }
    };
    Record::new(10_000.0, (0..=360).map(sample).collect()).unwrap()
}

fn assert_scores(record: &Record, [accuracy, delay, precision]: [f64; 3]) {
    let score = PerformanceRules::pjm().score(record).unwrap();
    assert_near(score.accuracy, accuracy);
    assert_near(score.delay, delay);
    assert_near(score.precision, precision);
    assert_near(score.score, (accuracy + delay + precision) / 3.0);
    assert_eq!(score.passed, score.score >= 0.75);
}

/// A signal that does not vary has no correlation. PJM Manual 12, section 4.4.6, as quoted in pjmScoringPassFailv5 of the
/// University of Michigan: below a threshold, which it does not name, the correlation is 1 less the difference of the slopes, by
/// linear regression.
///
/// By hand, per unit of 10 MW and sample of 10 s:
/// 5 MW asked for and 4 MW got: both slopes are 0, and the error is 1 of 5.
/// 5 MW asked for, and 20 kW more got with each sample: the slopes differ by 0.002. At once the mean error is 20 · 179.5 = 3,590 kW of
/// 5,000; one sample later 3,600.
/// Nothing asked for and nothing got: all is right. 1 MW got: the slopes are alike, but all of it is wrong.
/// ±90 kW asked for in turns: a deviation of 0.009 is below 0.01. A window has 15 steps from + to − or from − to +, so its slope is
/// ∓15 · 0.009 / (30 · 899 / 12); the response has none. The error is all that was asked for.
#[test]
fn a_flat_signal_is_scored_by_its_slope_as_by_hand() {
    assert_scores(&hour(|_| (5_000.0, 4_000.0)), [1.0, 1.0, 0.8]);
    let ramp = hour(|k| (5_000.0, 5_000.0 + 20.0 * f64::from(k)));
    assert_scores(&ramp, [0.998, 1.0, 1.0 - 3_590.0 / 5_000.0]);
    assert_scores(&hour(|_| (0.0, 0.0)), [1.0, 1.0, 1.0]);
    assert_scores(&hour(|_| (0.0, 1_000.0)), [1.0, 1.0, 0.0]);
    let turns = |kw: f64| hour(move |k| (if k % 2 == 0 { kw } else { -kw }, 0.0));
    let slope = 15.0 * 0.009 / (30.0 * 899.0 / 12.0);
    assert_scores(&turns(90.0), [1.0 - slope, 1.0, 0.0]);
}

/// A response that does not vary has no correlation with a signal that does, at whatever shift, and so no best shift: both are 0. So
/// it is in reserve_service.py of GMLC-1-4-2/battery_interface, commit 21c54c4, too.
///
/// By hand: ±110 kW in turns, a deviation of 0.011, is not flat any more; all that was asked for is missing. Of ±6 MW half is missing
/// where half of it is got.
#[test]
fn a_plant_that_does_nothing_is_not_paid_for_being_early() {
    let turns = hour(|k| (if k % 2 == 0 { 110.0 } else { -110.0 }, 0.0));
    assert_scores(&turns, [0.0, 0.0, 0.0]);
    let by_chance = jumps(0);
    let got = |of: &dyn Fn(f64) -> f64| {
        let samples = by_chance.samples().iter().map(|sample| Sample {
            got_kw: of(sample.asked_kw),
            ..*sample
        });
        Record::new(10_000.0, samples.collect()).unwrap()
    };
    assert_scores(&got(&|_| 0.0), [0.0, 0.0, 0.0]);
    let score = PerformanceRules::pjm().score(&got(&|_| 3_000.0)).unwrap();
    assert_near(score.accuracy + score.delay, 0.0);
    // A response of half the signal earns both in full: it is what moves that counts.
    assert_scores(&got(&|asked| 0.5 * asked), [1.0, 1.0, 0.5]);
}

#[test]
fn records_that_mean_nothing_are_refused() {
    let sample = |at_s: f64, got_kw: f64| Sample {
        at_s,
        asked_kw: 0.0,
        got_kw,
    };
    for (rated, samples, field) in [
        (0.0, vec![sample(0.0, 0.0), sample(1.0, 0.0)], "rated_kw"),
        (
            f64::NAN,
            vec![sample(0.0, 0.0), sample(1.0, 0.0)],
            "rated_kw",
        ),
        (1.0, vec![sample(0.0, 0.0)], "samples"),
        (
            1.0,
            vec![sample(0.0, 0.0), sample(1.0, f64::NAN)],
            "samples[1].got_kw",
        ),
        (
            1.0,
            vec![sample(1.0, 0.0), sample(1.0, 0.0)],
            "samples[1].at_s",
        ),
    ] {
        assert_eq!(Record::new(rated, samples).unwrap_err().field, field);
    }
    let short = record(&[(0.0, 1.0, 0.0), (599.0, 1.0, 0.0)]);
    assert!(PerformanceRules::pjm().score(&short).is_err());
}

#[test]
fn broken_packs_are_refused_with_line_and_field() {
    let hunan = include_str!("../../rules/hunan-2025.toml");
    for (from, to, field) in [
        ("[0.4, 0.3, 0.3]", "[0.4, 0.3, 0.4]", "weights.value"),
        ("value = 60.0", "value = -60.0", "response_limit_s.value"),
        ("format = 1", "format = 2", "pack.format"),
    ] {
        assert!(hunan.contains(from), "{from}");
        let broken = CompositeRules::parse(&hunan.replacen(from, to, 1));
        match broken {
            Err(crate::RuleError::Invalid { invalid, .. }) => assert_eq!(invalid.field, field),
            other => panic!("{other:?}"),
        }
    }
}
