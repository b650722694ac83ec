//! Swap stations: packs are there when they are wanted, whatever the engine does with the rest.

use super::*;
use crate::format::SwapProfile;
use vpp_aggregator::Operator;
use vpp_core::time::as_hours;
use vpp_core::{Command, Decision, Flexibility, Interval, Reason, SequenceNumber};

const SLOTS: u32 = 20;

fn swaps() -> SwapProfile {
    let mut swap_shape = vec![0.02; 24];
    swap_shape[8..22].fill(0.8 / 14.0);
    SwapProfile {
        swaps_per_slot_day: 4.0,
        swap_shape,
        pack_kwh: 80.0,
        arriving_soc: quantiles(&[0.1, 0.25, 0.5]),
        slot_power_kw: 40.0,
        slot_discharge_kw: 40.0,
        charged_soc: 0.9,
        floor_soc: 0.2,
        deviations: 1.645,
        reserve_share: 0.2,
        model: None,
        ready_hour: None,
    }
}

fn operator(seed: u64) -> Operator<World> {
    let mut station = station(0);
    station.kind = StationKind::Swap;
    station.piles = vec![Pile {
        kind: PileKind::Dc,
        count: SLOTS,
        rated_power: kw(40),
        discharge_power: kw(40),
    }];
    (
        station.import_limit,
        station.export_limit,
        station.default_setpoint,
    ) = (kw(800), kw(800), kw(800));
    station.ramp_per_second = kw(200);
    let model = StationModel {
        number: 0,
        station,
        profile: Arc::new(profile()),
        swaps: Some(Arc::new(swaps())),
        recorded: None,
        behaviour: Arc::new(behaviour()),
    };
    let world = World::new(WorldConfig {
        seed,
        start: start(),
        warm_up: WARM_UP,
        in_long_steps: false,
        stations: vec![model],
    });
    Operator::new(aggregator(), world)
}

/// The lowest power of the next minute that the envelope allows.
fn lowest(operator: &mut Operator<World>, now: Timestamp) -> Power {
    let horizon = [
        Interval::new(now, now + TimeDelta::minutes(1)).unwrap(),
        Interval::new(now + TimeDelta::minutes(1), now + TimeDelta::minutes(16)).unwrap(),
    ];
    let report = operator.telemetry(now).remove(0);
    let station = &operator.sites().stations()[0];
    let flexibility = Flexibility::of(station, &report.sessions, now, &horizon);
    let [first, second] = [0, 1].map(|t| flexibility.envelope.lower[t].as_kilowatt_hours());
    let up = flexibility.max_charge[1].as_kilowatts()
        * station.charge_efficiency
        * as_hours(horizon[1].length());
    let needed = first.max(second - up) * 60.0;
    let at_grid = if needed > 0.0 {
        needed / station.charge_efficiency
    } else {
        needed * station.discharge_efficiency
    };
    Power::round_kilowatts(at_grid.max(-flexibility.max_discharge[0].as_kilowatts()) + 0.5)
}

/// Three days, with a setpoint a minute.
fn live(seed: u64, setpoint: impl Fn(&mut Operator<World>, Timestamp) -> Power) -> Tally {
    let mut operator = operator(seed);
    let mut now = start();
    for minute in 0..3 * 24 * 60 {
        let setpoint = setpoint(&mut operator, now);
        let station = &operator.sites().stations()[0];
        let command = Command {
            station: station.id.clone(),
            aggregator: station.aggregator.clone(),
            sequence: SequenceNumber {
                epoch: 1,
                number: minute + 1,
            },
            issued_at: now,
            valid_until: now + TimeDelta::minutes(2),
            setpoint,
            fallback_setpoint: kw(800),
            decision: Decision::Optimal,
            reason: Reason::Event,
            cycle: minute + 1,
        };
        operator.receive(now, &command);
        for _ in 0..4 {
            now += TimeDelta::seconds(15);
            operator.control(now);
        }
    }
    operator.sites().total()
}

#[test]
fn packs_are_there_when_they_are_wanted_though_all_that_can_be_is_exported() {
    let (mut swaps, mut missed, mut exported) = (0, 0, 0.0);
    for seed in 0..3 {
        let free = live(seed, |_, _| kw(800));
        assert_eq!(free.turned_away, 0, "{free:?}");
        let held = live(seed, lowest);
        assert_eq!(
            held.departures + held.turned_away,
            free.departures,
            "the same customers"
        );
        swaps += free.departures;
        missed += held.turned_away;
        exported += held.energy_exported.as_kilowatt_hours();
    }
    assert!(swaps > 600, "{swaps}");
    // Three days of stations that may only ever be charged as late as can be.
    let share = missed as f64 / swaps as f64;
    println!("{missed} of {swaps} swaps missed, {exported} kWh exported");
    assert!(share <= 0.05, "{missed} of {swaps}");
    assert!(exported > 300.0, "{exported}");
}
