//! The world under an operator, as the engine would drive it.

use std::collections::VecDeque;

use proptest::prelude::*;
use vpp_aggregator::Operator;
use vpp_core::{Command, Decision, Reason, SequenceNumber};

use super::*;

const LIFE_S: i64 = 60;

fn command(station: u64, number: u64, second: i64, setpoint: Power) -> Command {
    Command {
        station: StationId::new(format!("s{station}")).unwrap(),
        aggregator: aggregator(),
        sequence: SequenceNumber { epoch: 1, number },
        issued_at: after(second),
        valid_until: after(second + LIFE_S),
        setpoint,
        fallback_setpoint: kw(150),
        decision: Decision::Optimal,
        reason: Reason::Event,
        cycle: 0,
    }
}

/// Draw of the piles that do not obey, and whose vehicle is at each of them.
fn wild(world: &World, station: usize) -> (Power, Vec<(u32, i64)>) {
    let state = &world.states[station];
    let wild = |vehicle: &&vehicle::Vehicle| !state.piles()[vehicle.pile as usize].obeys;
    let power = state
        .vehicles()
        .iter()
        .filter(wild)
        .map(|vehicle| vehicle.power)
        .sum();
    let whose = state.vehicles().iter().filter(wild);
    (
        Power::from_watts(power),
        whose
            .map(|vehicle| (vehicle.pile, vehicle.departure))
            .collect(),
    )
}

#[test]
fn piles_follow_a_step_within_delay_and_ramp() {
    let mut operator = Operator::new(aggregator(), world(29, 0..10));
    let (mut draws, mut early) = (Vec::new(), 0);
    for second in 0..30 {
        operator.control(after(second));
        draws = (0..10)
            .map(|at| operator.sites().active_power(at))
            .collect();
    }
    for (station, draw) in (0..).zip(&draws) {
        let half = Power::from_watts(draw.as_watts() / 2);
        operator
            .receive(after(29), &command(station, 1, 29, half))
            .unwrap();
    }
    for second in 30..80 {
        operator.control(after(second));
        for (station, before) in draws.iter().enumerate() {
            let half = Power::from_watts(before.as_watts() / 2);
            let draw = operator.sites().active_power(station);
            let delay = operator.sites().states[station].delay_ms() / 1_000;
            // Five seconds of ramp from full power, and the grid of a second on both ends.
            if second > 29 + delay + 5 + 2 {
                assert!(
                    draw <= half,
                    "station {station}, second {second}: {draw} of {half}"
                );
            } else if second <= 29 + delay {
                // A vehicle may leave of its own.
                early += u32::from(draw <= half);
            }
        }
    }
    assert!(
        early <= 3,
        "{early} times a station moved before it could have heard"
    );
}

#[test]
fn export_is_followed_to_the_watt_and_never_takes_a_battery_below_its_floor() {
    let mut operator = Operator::new(aggregator(), world(31, 0..20));
    let (mut exported, mut beyond) = (0, 0);
    for second in 0..3_600_i64 {
        operator.control(after(second));
        if second % 20 == 0 {
            for station in 0..20_u64 {
                let number = u64::try_from(second).unwrap();
                let command = command(station, number, second, kw(-10));
                operator.receive(after(second), &command).unwrap();
            }
        }
        for station in 0..20 {
            let world = operator.sites();
            for vehicle in world.states[station].vehicles() {
                let battery = vehicle.battery;
                assert!(battery.stored <= battery.limit && battery.limit <= battery.capacity);
                assert!(
                    vehicle.power >= 0 || (vehicle.consents && battery.stored >= battery.floor)
                );
            }
            // One who was to charge may leave, and the others take a moment to make up for it.
            beyond += i32::from(world.active_power(station) < kw(-11));
            exported += i32::from(world.active_power(station) == kw(-10));
        }
    }
    assert!(
        exported > 10_000,
        "{exported} seconds of export at the setpoint"
    );
    assert!(beyond < 1_000, "{beyond} seconds beyond it, of 72,000");
    let total = operator.sites().total();
    let (taken, given) = (total.energy_discharged, total.energy_exported);
    let ratio = given.as_kilowatt_hours() / taken.as_kilowatt_hours();
    assert!((ratio - 0.94).abs() < 1e-4, "{ratio}");
}

#[test]
fn a_station_that_is_cut_off_falls_back_by_itself() {
    let mut operator = Operator::new(aggregator(), world(37, 0..6));
    for second in 0..10 {
        operator.control(after(second));
    }
    for station in 0..6 {
        operator
            .receive(after(10), &command(station, 1, 10, kw(20)))
            .unwrap();
    }
    let mut after_all = Power::ZERO;
    for second in 10..120 {
        operator.control(after(second));
        if second == 30 {
            (0..6).for_each(|at| operator.sites_mut().set_reachable(at, false));
            assert_eq!(operator.telemetry(after(second)).len(), 0);
        }
        for station in 0..6 {
            let draw = operator.sites().active_power(station);
            if (25..=70).contains(&second) {
                assert!(draw <= kw(20), "second {second}: the command holds, {draw}");
            }
            assert!(
                second < 80 || draw <= kw(150),
                "second {second}: the fallback holds"
            );
        }
        after_all = (0..6).map(|at| operator.sites().active_power(at)).sum();
    }
    assert!(after_all > kw(200), "{after_all}: they charge again");
}

#[test]
fn everybody_gets_what_was_promised_under_a_ceiling_that_has_room_for_it_in_time() {
    let mut config = config(41, 0..20, behaviour());
    for model in &mut config.stations {
        let slow = SessionProfile {
            arrivals_per_dc_pile_day: 0.0,
            ..profile()
        };
        model.profile = Arc::new(slow);
        model.station.default_setpoint = kw(40);
    }
    let mut operator = Operator::new(aggregator(), World::new(config));
    let (mut number, mut at_ceiling) = (0, 0);
    for second in 0..6 * 3_600_i64 {
        operator.control(after(second));
        if second % 30 == 0 {
            number += 1;
            for station in 0..20 {
                operator.receive(after(second), &command(station, number, second, kw(39)));
            }
        }
        at_ceiling += (0..20)
            .filter(|at| operator.sites().active_power(*at) > kw(38))
            .count();
    }
    let total = operator.sites().total();
    assert!(at_ceiling > 2_000, "{at_ceiling} seconds");
    assert!(total.departures > 100, "{total:?}");
    assert_eq!(total.short_departures, 0, "{total:?}");
}

/// Every word of a sequence of commands may be lost, come twice, or come late.
#[derive(Clone, Debug)]
struct Word {
    gap_s: i64,
    ceiling_kw: i64,
    lost: bool,
    twice_after_s: Option<i64>,
    late_s: i64,
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let faults = (
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, 0_i64..80),
        prop_oneof![Just(0_i64), 0_i64..70],
    );
    let word = (5_i64..90, 0_i64..320, faults).prop_map(|(gap_s, ceiling_kw, faults)| Word {
        gap_s,
        ceiling_kw,
        lost: faults.0,
        twice_after_s: faults.1,
        late_s: faults.2,
    });
    prop::collection::vec(word, 1..10)
}

/// The deliveries of the words to station 0, by second.
fn deliveries(words: &[Word]) -> (Vec<(i64, Command)>, i64) {
    let (mut deliveries, mut second, mut number) = (Vec::new(), 0, 0);
    for word in words {
        second += word.gap_s;
        number += 1;
        let command = command(0, number, second, kw(word.ceiling_kw));
        let arrival = second + word.late_s;
        if let Some(twice_after_s) = word.twice_after_s {
            deliveries.push((arrival + twice_after_s, command.clone()));
        }
        if !word.lost {
            deliveries.push((arrival, command));
        }
    }
    (deliveries, second + 150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_station_keeps_every_ceiling_once_it_had_time_to_move(
        seed in 0_u64..1_000,
        words in words(),
        disobeying_pile_share in prop_oneof![Just(0.0), Just(0.15)],
    ) {
        let behaviour = Behaviour { disobeying_pile_share, ..behaviour() };
        let world = World::new(config(seed, 0..1, behaviour));
        let delay = world.states[0].delay_ms() / 1_000;
        let mut operator = Operator::new(aggregator(), world);
        let (deliveries, end) = deliveries(&words);
        // Time to hear and to ramp, and once more for a share that is passed on while it is on its way; and for piles that
        // do not obey, to be found out as well.
        let moved = 2 * (delay + 7);
        let found_out = moved + 32;
        let mut ceilings = VecDeque::new();
        let mut newcomers = VecDeque::new();
        for second in 0..end {
            for (_, command) in deliveries.iter().filter(|(at, _)| *at == second) {
                operator.receive(after(second), command);
            }
            operator.control(after(second));
            let (wild_draw, whose) = wild(operator.sites(), 0);
            ceilings.push_front(operator.in_force(0, after(second)).setpoint);
            newcomers.push_front(whose);
            let window = |length: i64| usize::try_from(length).unwrap();
            let highest = |length| *ceilings.iter().take(window(length)).max().unwrap();
            let draw = operator.sites().active_power(0);
            // A pile that takes a little more than told is not blamed, and a raise that is taken back while it is still on
            // its way shows for a moment.
            let tolerance = Power::from_watts(draw.as_watts() / 20) + kw(1);
            if second >= moved {
                let allowed = highest(moved) + wild_draw + tolerance;
                prop_assert!(draw <= allowed, "second {}: {} of {}", second, draw, allowed);
            }
            let settled = newcomers.iter().take(window(found_out)).all(|w| *w == newcomers[0]);
            if second >= found_out && settled {
                let allowed = highest(found_out).max(wild_draw) + tolerance;
                prop_assert!(draw <= allowed, "second {}: {} of {}", second, draw, allowed);
            }
        }
    }
}
