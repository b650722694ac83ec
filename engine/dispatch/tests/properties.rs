//! Whatever is lost or late on the way, no mix of old and new setpoints breaks a limit at the stations themselves.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::TimeDelta;
use proptest::prelude::*;
use support::{Behaviour, Solver, World, commands, kilowatts, node, station};
use vpp_core::{Power, SequenceNumber};
use vpp_dispatch::Engine;

fn run(
    tightness: i64,
    behaviours: &[u8],
    solver: Solver,
    asked: i64,
    restart: usize,
) -> Result<World, TestCaseError> {
    let n = behaviours.len();
    let import = kilowatts(20 + 20 * i64::try_from(n).unwrap() + tightness);
    let nodes = vec![
        node("substation", None, import + kilowatts(10), Power::ZERO),
        node("feeder", Some("substation"), import, kilowatts(20)),
    ];
    let mut stations: Vec<_> = (0..n).map(|index| station(index, "feeder")).collect();
    for station in &mut stations {
        station.default_setpoint = kilowatts(20);
    }
    let mut world = World::with(nodes, stations);
    world.report();
    world.solver = solver;
    // Every second one is in a hurry: it is raised while its neighbours are lowered, so that the guard has work.
    for fake in world.fakes.iter_mut().step_by(2) {
        for session in &mut fake.sessions {
            session.departure = world.now + TimeDelta::hours(1);
            session.energy_needed = support::kilowatt_hours(25);
        }
    }
    for fake in world.fakes.iter_mut().skip(1).step_by(2) {
        let session = support::session(world.now, kilowatts(10));
        fake.sessions = vec![session; 2];
    }
    world.report();
    let _ = world.submit(world.demand_response(asked, 4, 100));
    let mut last = vec![SequenceNumber::default(); n];
    for cycle in 0..30 {
        if cycle == restart {
            world.restart();
        }
        for (index, kind) in behaviours.iter().enumerate() {
            world.fakes[index].behaviour = match (usize::from(*kind) + cycle / 3 + index) % 9 {
                0 => Behaviour::Mute,
                1 => Behaviour::Refuses,
                2 => Behaviour::Unheard,
                3 => Behaviour::Delayed,
                _ => Behaviour::Obeys,
            };
        }
        let outputs = world.cycle();
        prop_assert_eq!(&world.wrongs, &Vec::<String>::new(), "cycle {}", cycle);
        for command in commands(&outputs) {
            let index = world
                .engine
                .fleet()
                .station_index(&command.station)
                .unwrap();
            let station = &world.engine.fleet().stations()[index];
            prop_assert!(command.sequence > last[index], "numbers grow");
            prop_assert!(command.setpoint <= station.rated_draw());
            prop_assert!(command.setpoint >= -station.rated_export());
            last[index] = command.sequence;
        }
    }
    Ok(world)
}

fn solver() -> impl Strategy<Value = Solver> {
    prop_oneof![Just(Solver::Works), Just(Solver::Fails), Just(Solver::Late)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mix_of_old_and_new_setpoints_breaks_a_limit(
        tightness in 0_i64..60,
        behaviours in prop::collection::vec(0_u8..9, 2..7),
        solver in solver(),
        asked in 1_i64..150,
        restart in 1_usize..60,
    ) {
        let world = run(tightness, &behaviours, solver, asked, restart)?;
        // The same inputs give the same outputs and the same state.
        let mut twin = Engine::new(world.engine.config().clone(), world.epoch).unwrap();
        for (at, input, outputs) in &world.steps {
            prop_assert_eq!(&twin.step(*at, input.clone()), outputs);
        }
        prop_assert_eq!(format!("{twin:?}"), world.seen());
        prop_assert!(world.now >= support::start() + TimeDelta::seconds(100));
    }
}
