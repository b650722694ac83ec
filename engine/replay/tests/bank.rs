//! A bank of batteries at which nobody swaps: the model of a swap station, for the grid alone.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use chrono::TimeDelta;
use vpp_aggregator::Sites as _;
use vpp_core::EventOutcome;
use vpp_replay::run::Run;
use vpp_scenarios::Scenario;

#[test]
fn a_bank_feeds_in_when_it_is_called_and_is_charged_again_at_its_hour() {
    let text = include_str!("../../../scenarios/battery-bank.toml");
    let scenario = Scenario::parse(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let mut run = Run::new(&scenario).unwrap();
    let at = |minutes: i64| scenario.start() + TimeDelta::minutes(minutes);
    // From 17:00 on: the event is from 19:00 to 21:00, and at seven all are to be charged.
    let (begin, end, ready) = (at(120), at(240), at(840));
    let (mut socs, mut fed_in, mut drawn) = (Vec::new(), Vec::new(), [0.0; 15]);
    run.begin();
    while !run.is_over() {
        let now = run.now();
        let world = run.plant().operators()[0].sites();
        let lowest = (world.readings(0).iter())
            .map(|reading| reading.battery.unwrap().soc())
            .fold(1.0, f64::min);
        if [begin, end, ready].contains(&now) {
            socs.push(lowest);
        }
        // Reports are means of the step before.
        let power_kw = world.active_power(0).as_kilowatts();
        if now > begin + TimeDelta::minutes(5) && now <= end {
            fed_in.push(-power_kw);
        }
        let hour = usize::try_from((now - at(0)).num_minutes() / 60).unwrap();
        drawn[hour] += power_kw.max(0.0) / 60.0;
        run.advance();
    }
    let weakest = fed_in.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "lowest states of charge {socs:.3?}, fed in {weakest:.0} kW at least, drawn by hour {drawn:.0?}"
    );
    // 300 kW less than nothing, within what a meter's mean may be off.
    assert!(weakest > 290.0, "{weakest} kW");
    let event = run.plant().engine().events().values().next().unwrap();
    assert_eq!(event.outcome, Some(EventOutcome::Delivered), "{event:?}");
    // Two hours of 300 kW take 638 of 1,440 kWh: less than half of it; at seven all are charged.
    let [before, after, ready] = socs[..] else {
        panic!("{socs:?}")
    };
    assert!(before >= 0.9 && after < 0.85, "{socs:?}");
    assert!(ready >= 0.9 - 1e-3, "{socs:?}");
    // Less than nothing is drawn until the call is over; then it takes back what it gave, with its losses.
    let (before, after): (f64, f64) = (drawn[..4].iter().sum(), drawn[4..].iter().sum());
    let given = fed_in.iter().sum::<f64>() / 60.0;
    let taken = given / (0.94 * 0.94);
    assert!(
        before < 1.0 && (taken..1.1 * taken).contains(&after),
        "{given}: {drawn:?}"
    );
    let tally = run.plant().operators()[0].sites().total();
    assert_eq!((tally.arrivals, tally.turned_away), (0, 0));
    assert_eq!(run.plant().counts().limit_violations, 0);
}

/// Planned by price and called by nobody, it sells in the day's peak, buys in the valley, and is charged at its hour.
#[test]
fn a_bank_that_trades_is_charged_at_its_hour_as_well() {
    let text = include_str!("../../../scenarios/battery-bank.toml");
    let text = text.replace("step_s = 60\n", "step_s = 60\norderly = \"all\"\n");
    let mut scenario = Scenario::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    scenario.events.clear();
    let mut run = Run::new(&scenario).unwrap();
    let ready = scenario.start() + TimeDelta::hours(14);
    run.begin();
    let (mut sold, mut drawn, mut in_valley) = (0.0, 0.0, 0.0);
    let midnight = scenario.start() + TimeDelta::hours(7);
    while run.now() < ready {
        run.advance();
        let world = run.plant().operators()[0].sites();
        let kwh = world.active_power(0).as_kilowatts() / 60.0;
        sold += (-kwh).max(0.0);
        drawn += kwh.max(0.0);
        in_valley += kwh.max(0.0) * f64::from(run.now() > midnight);
    }
    let world = run.plant().operators()[0].sites();
    let lowest = (world.readings(0).iter())
        .map(|reading| reading.battery.unwrap().soc())
        .fold(1.0, f64::min);
    println!(
        "{sold:.0} kWh sold, {drawn:.0} drawn, {in_valley:.0} of it in the valley; at seven {lowest:.3}"
    );
    assert!(
        sold > 500.0 && in_valley > 0.9 * drawn,
        "{sold} {drawn} {in_valley}"
    );
    assert!(lowest >= 0.9 - 1e-3, "{lowest}");
}
