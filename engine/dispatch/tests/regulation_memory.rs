//! After warm-up, a value of the regulation signal becomes commands without asking for memory.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::TimeDelta;
use vpp_core::{RegulationAward, RegulationSignal};
use vpp_dispatch::{Input, Output, Request};

use support::{World, kilowatts, session};

#[test]
fn a_value_becomes_commands_without_asking_for_memory() {
    let mut world = World::new(40);
    let now = world.now;
    for fake in &mut world.fakes {
        fake.demand = kilowatts(60);
        fake.sessions = vec![session(now, kilowatts(10)); 2];
        fake.lag_s = 2.0;
    }
    let award = RegulationAward {
        up: kilowatts(800),
        down: kilowatts(800),
    };
    let sustain = TimeDelta::minutes(15);
    world
        .ask(Request::StartRegulation { award, sustain })
        .unwrap();
    for _ in 0..5 {
        world.cycle();
    }
    let mut outputs = Vec::with_capacity(1_000);
    let (mut allocations, mut commands) = (0, 0);
    for k in 1..=120_u32 {
        let signal = RegulationSignal {
            sequence: u64::from(k),
            signal_time: world.now,
            value: (f64::from(k) * 0.3).sin(),
        };
        let counted = allocation_counter::measure(|| {
            (world.engine).step_into(world.now, Input::Signal(signal), &mut outputs);
        });
        // The first minute grows what is kept.
        if k > 30 {
            allocations += counted.count_total;
            let sent = outputs.iter().filter(|o| matches!(o, Output::Command(_)));
            commands += sent.count();
        }
        world.deliver(&outputs);
        outputs.clear();
        world.wait(TimeDelta::seconds(2));
        world.report();
        if k % 2 == 0 {
            world.decide();
        }
    }
    assert!(commands > 1_000, "{commands}");
    assert_eq!(allocations, 0, "for {commands} commands");
}
