//! What the optimizer is asked in each scenario of the project, solved once more by a general solver: the same optimum.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::path::Path;

use vpp_optimizer::reference::{self, Options};
use vpp_optimizer::{Solution, Status, check};
use vpp_replay::run::Run;
use vpp_scenarios::Scenario;
use vpp_scenarios::format::Orderly;

/// Has no fleet that is planned: a day of a regulation market.
const MARKET_DAY: &str = "regd-day.toml";
/// A small plant is asked about in so many cycles, a city in one.
const CYCLES: usize = 12;
const CITY: usize = 600;

fn optimum(solution: &Solution) -> f64 {
    solution.objective - solution.repair_cost
}

#[test]
fn every_scenario_is_planned_as_a_general_solver_plans_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap();
        path.extension().is_some_and(|end| end == "toml")
            && name != "Cargo.toml"
            && name != MARKET_DAY
    });
    let mut compared = 0;
    for file in files {
        let mut scenario = Scenario::load(&file).unwrap();
        // Planned from the first cycle on, and not only while something is called.
        scenario.dispatch.orderly = Orderly::All;
        let mut run = Run::new(&scenario).unwrap();
        let cycles = if run.plant().engine().fleet().stations().len() < CITY {
            CYCLES
        } else {
            1
        };
        run.begin();
        let (mut seen, mut last) = (0, None);
        while seen < cycles && !run.is_over() {
            let solved = run.plant().last_solved();
            if solved == last.as_ref() {
                run.advance();
                continue;
            }
            last = solved.cloned();
            let Some((problem, found)) = &last else {
                continue;
            };
            seen += 1;
            let name = format!("{}, plan {seen}", file.display());
            assert_eq!(found.status, Status::Optimal, "{name}");
            let broken = check::violations(problem, found, 1e-9);
            assert!(broken.is_empty(), "{name}: {broken:?}");
            let peer = reference::solve(problem, &Options::default()).unwrap();
            let (ours, theirs) = (optimum(found), optimum(&peer));
            let near = 1e-6 * theirs.abs().max(1.0);
            assert!(
                (ours - theirs).abs() <= near,
                "{name}: {ours}, not {theirs}"
            );
            compared += 1;
        }
        assert!(seen > 0, "{}: nothing was planned", file.display());
    }
    assert!(compared > 20, "{compared} plans");
}
