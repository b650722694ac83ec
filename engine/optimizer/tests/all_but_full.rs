//! Vehicles that are all but full stand beside others: what is left to them is far below what others move.

#![allow(clippy::unwrap_used)]

use vpp_optimizer::{Penalties, Problem, Requirement, Resource, Status, solve};

/// A vehicle that draws and gives up to so many kW, and has room for as much within the hour.
fn vehicle(kw: f64) -> Resource {
    let room: Vec<f64> = (1..=4).map(|t| f64::from(t) * 0.25 * 0.94 * kw).collect();
    Resource {
        node: None,
        charge_max_kw: vec![kw; 4],
        discharge_max_kw: vec![0.0; 4],
        power_min_kw: vec![0.0; 4],
        power_max_kw: vec![kw; 4],
        energy_min_kwh: room.iter().map(|room| 0.5 * room).collect(),
        energy_max_kwh: room,
        charge_efficiency: 0.94,
        discharge_efficiency: 0.94,
        initial_power_kw: kw,
        ramp_kw_per_h: 96_768.0,
        throughput_max_kwh: f64::INFINITY,
        energy_price: vec![0.6, 0.60025, 0.6005, 0.60075],
        feed_in_price: vec![0.0; 4],
        wear: 0.4,
        terminal_value: 0.839,
        regulates: true,
    }
}

#[test]
fn vehicles_that_are_all_but_full_do_not_stall_the_plan() {
    let left = [7.0, 1e-4, 7.0, 4e-5, 60.0, 1.1e-4, 7.0, 3e-4];
    let resources: Vec<Resource> = (0..160).map(|i| vehicle(left[i % left.len()])).collect();
    let problem = Problem {
        intervals_h: vec![0.25; 4],
        requirements: vec![Requirement::Regulation {
            name: "regulation".into(),
            members: (0..resources.len()).collect(),
            up_kw: vec![400.0; 4],
            down_kw: vec![300.0; 4],
            sustain_h: 0.25,
        }],
        resources,
        nodes: Vec::new(),
        penalties: Penalties::default(),
    };
    let solution = solve(&problem, None, &|| false).unwrap();
    assert_eq!(solution.status, Status::Optimal);
}
