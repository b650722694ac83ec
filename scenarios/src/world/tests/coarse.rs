//! Long steps against short ones.

use vpp_aggregator::Operator;
use vpp_core::{Command, Decision, Reason, SequenceNumber};

use super::*;

const STEP: TimeDelta = TimeDelta::minutes(5);
const DAY_S: i64 = 86_400;

fn coarse(mut world: World) -> World {
    world.set_pace(STEP, |_| false);
    world
}

/// By how much two energies are apart, as a share of the larger.
fn apart(a: Energy, b: Energy) -> f64 {
    let (a, b) = (a.as_kilowatt_hours(), b.as_kilowatt_hours());
    (a - b).abs() / a.abs().max(b.abs()).max(1e-9)
}

#[test]
fn without_control_the_same_vehicles_come_and_draw_the_same() {
    let mut fine = world(41, 0..12);
    let mut long = coarse(world(41, 0..12));
    for hour in 1..=24 {
        fine.advance(after(hour * 3_600));
        long.advance(after(hour * 3_600));
    }
    for station in 0..12 {
        let (fine, long) = (fine.tally(station), long.tally(station));
        let counts = |tally: &Tally| (tally.arrivals, tally.departures, tally.turned_away);
        assert_eq!(counts(&fine), counts(&long), "station {station}");
        assert_eq!(
            fine.energy_arrived, long.energy_arrived,
            "station {station}"
        );
        assert_eq!(long.short_departures, 0, "station {station}");
        // Who waits up to a second for its setpoint, and ramps, charges as much a little later.
        let apart = apart(fine.metered_import, long.metered_import);
        assert!(apart < 0.005, "station {station}: {apart}");
    }
}

#[test]
fn energy_is_neither_made_nor_lost_in_long_steps() {
    let mut world = coarse(world(43, 0..8));
    let before: Vec<Energy> = (0..8).map(|station| world.stored(station)).collect();
    world.advance(after(DAY_S));
    for (station, before) in before.into_iter().enumerate() {
        let tally = world.tally(station);
        let (came, went) = (tally.energy_arrived, tally.energy_departed);
        let moved = tally.energy_charged - tally.energy_discharged;
        assert_eq!(world.stored(station), before + came - went + moved);
        let drawn = tally.energy_drawn.as_kilowatt_hours();
        assert!((tally.energy_charged.as_kilowatt_hours() - drawn * 0.95).abs() < 1e-3);
    }
}

/// Whoever adds up reports comes to what the meter says, to a watt for each.
#[test]
fn what_is_reported_in_long_steps_is_what_the_meter_counts() {
    let mut world = coarse(world(59, 0..4));
    let mut reported = [0.0; 4];
    for step in 1..=DAY_S / 300 {
        world.advance(after(step * 300));
        for (station, kwh) in reported.iter_mut().enumerate() {
            *kwh += world.active_power(station).as_kilowatts() / 12.0;
        }
    }
    for (station, kwh) in reported.into_iter().enumerate() {
        let tally = world.tally(station);
        let metered = (tally.metered_import - tally.metered_export).as_kilowatt_hours();
        assert!(
            metered > 10.0 && (kwh - metered).abs() < 0.03,
            "{kwh} {metered}"
        );
    }
}

/// Nobody is told that a station draws nothing because its steps have just become long.
#[test]
fn before_the_first_long_step_is_over_what_is_drawn_now_is_reported() {
    let mut world = world(59, 0..4);
    world.advance(after(DAY_S / 2));
    let powers =
        |world: &World| -> Vec<Power> { (0..4).map(|at| world.active_power(at)).collect() };
    let before = powers(&world);
    assert!(before.iter().any(|power| *power > Power::ZERO));
    assert_eq!(powers(&coarse(world)), before);
}

/// Half hours of setpoints: ceilings high and low, nothing, and export. The mean is what the vehicles need.
fn setpoint(half_hour: i64) -> Power {
    [kw(250), kw(120), kw(0), kw(-20), kw(250), kw(150)][usize::try_from(half_hour % 6).unwrap()]
}

fn command(station: u64, half_hour: i64) -> Command {
    Command {
        station: StationId::new(format!("s{station}")).unwrap(),
        aggregator: aggregator(),
        sequence: SequenceNumber {
            epoch: 1,
            number: u64::try_from(half_hour).unwrap() + 1,
        },
        issued_at: after(half_hour * 1_800),
        valid_until: after((half_hour + 1) * 1_800),
        setpoint: setpoint(half_hour),
        fallback_setpoint: kw(150),
        decision: Decision::Optimal,
        reason: Reason::Event,
        cycle: 0,
    }
}

/// A day under setpoints; what each station drew and gave in each half hour, kWh.
fn day(world: World, step_s: i64) -> (World, Vec<Vec<f64>>) {
    let stations = 4;
    let mut operator = Operator::new(aggregator(), world).with_period(TimeDelta::seconds(step_s));
    let mut net = Vec::new();
    for half_hour in 0..18 {
        operator.control(after(half_hour * 1_800));
        for station in 0..stations {
            let answer = operator.receive(after(half_hour * 1_800), &command(station, half_hour));
            assert!(answer.is_some());
        }
        let metered = |operator: &Operator<World>| -> Vec<f64> {
            let station = |at| {
                let tally = operator.sites().tally(at);
                (tally.metered_import - tally.metered_export).as_kilowatt_hours()
            };
            (0..4).map(station).collect()
        };
        let before = metered(&operator);
        for step in 1..=1_800 / step_s {
            operator.control(after(half_hour * 1_800 + step * step_s));
        }
        let after = metered(&operator);
        net.push(
            after
                .iter()
                .zip(before)
                .map(|(after, before)| after - before)
                .collect(),
        );
    }
    (operator.sites().clone(), net)
}

#[test]
fn under_setpoints_energy_comes_near_and_every_ceiling_holds_in_the_mean() {
    let behaviour = Behaviour {
        disobeying_pile_share: 0.02,
        ..behaviour()
    };
    let config = config(47, 0..4, behaviour);
    let (fine, _) = day(World::new(config.clone()), 1);
    let (long, net) = day(coarse(World::new(config)), 300);
    let (fine, long) = (fine.total(), long.total());
    assert_eq!(fine.arrivals, long.arrivals);
    // Where there is too little for all, as here, room that somebody leaves within a step is filled up to five minutes later, of
    // a rapid charge's half an hour.
    let apart = apart(fine.metered_import, long.metered_import);
    assert!(apart < 0.06, "{apart}: {fine:?} {long:?}");
    assert!(long.metered_export.as_kilowatt_hours() > 10.0, "{long:?}");
    let mut above = Vec::new();
    for (half_hour, net) in (0_i64..).zip(net) {
        let ceiling = setpoint(half_hour).max(Power::ZERO).as_kilowatts();
        for (station, kwh) in net.into_iter().enumerate() {
            let mean = kwh / 0.5;
            // Export is asked for by the setpoint alone.
            let floor = setpoint(half_hour).min(Power::ZERO).as_kilowatts();
            assert!(
                mean >= floor - 0.1,
                "{half_hour} {station}: {mean} below {floor}"
            );
            if mean > ceiling + 0.1 {
                above.push((half_hour, station, mean, ceiling));
            }
        }
    }
    // A pile that obeys nobody may draw more than the whole ceiling.
    let wild = above
        .iter()
        .filter(|(_, _, mean, ceiling)| *mean > ceiling + 70.0)
        .count();
    assert_eq!(wild, 0, "{above:?}");
    assert!(above.len() < 8, "{} of 72: {above:?}", above.len());
}

#[test]
fn stations_that_live_in_seconds_beside_others_live_as_ever() {
    let mut all = world(53, 0..4);
    let mut mixed = world(53, 0..4);
    mixed.set_pace(STEP, |station| station.id.as_str() == "s1");
    for second in 1..=1_200 {
        all.advance(after(second));
        mixed.advance(after(second));
        assert_eq!(all.readings(1), mixed.readings(1), "second {second}");
        assert_eq!(mixed.moved(0), second % 300 == 0, "second {second}");
        assert!(mixed.moved(1));
    }
    assert_eq!(all.tally(1), mixed.tally(1));
}
