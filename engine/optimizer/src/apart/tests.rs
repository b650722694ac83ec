//! Problems solved apart and as one.

use proptest::prelude::*;

use super::*;

use crate::random;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    /// Taken apart or not, the optimum is the same, and so is what proves it.
    #[test]
    fn apart_or_together_it_is_the_same(problem in random::problem()) {
        let frame = Frame::new(&problem);
        let schedule = crate::rules::solve_frame(&frame).schedule;
        let never = Stop::never();
        let apart = find_apart(&frame, &schedule, Begin::Far, &never, &mut |_| ());
        let whole = find(&frame, &schedule, Begin::Far, &never, |_| ());
        let (apart, whole) = (apart.expect("nobody says stop"), whole.expect("nobody says stop"));
        prop_assert_eq!(apart.end, End::Optimal);
        let noise = 1e-6 * whole.bound.abs().max(1.0);
        prop_assert!((apart.bound - whole.bound).abs() <= noise, "{} {}", apart.bound, whole.bound);
    }
}

/// Over problems that never change: taking apart is tried, and mostly right.
#[test]
fn much_is_planned_alone() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut alone, mut all) = (0, 0);
    for _ in 0..500 {
        let problem = random::problem()
            .new_tree(&mut runner)
            .expect("a problem")
            .current();
        let frame = Frame::new(&problem);
        let schedule = crate::rules::solve_frame(&frame).schedule;
        let never = Stop::never();
        let mut planned = plan_alone(&frame, &never).expect("nobody says stop");
        let near = touched(&frame, &planned, &schedule, &never).expect("nobody says stop");
        join(&frame, &mut planned, &near);
        alone += planned.iter().flatten().count();
        all += planned.len();
    }
    assert!(alone * 4 > all, "{alone} of {all}");
}
