//! Problems as JSON: what is written comes back to the last bit, infinities included.

mod common;
mod random;

use common::{hours, resource};
use proptest::prelude::*;
use vpp_optimizer::{Place, Problem, ProblemError, validate};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_problem_comes_back_as_it_was_written(problem in random::problem()) {
        let text = serde_json::to_string(&problem).expect("writes");
        let back: Problem = serde_json::from_str(&text).expect("reads");
        prop_assert_eq!(back, problem);
    }
}

#[test]
fn infinite_limits_are_words() {
    let mut problem = hours(1, vec![resource(1, 10.0, 0.0)]);
    problem.resources[0].energy_min_kwh = vec![f64::NEG_INFINITY];
    problem.resources[0].ramp_kw_per_h = f64::INFINITY;
    let value = serde_json::to_value(&problem).expect("writes");
    assert_eq!(value["resources"][0]["energy_min_kwh"][0], "-inf");
    assert_eq!(value["resources"][0]["ramp_kw_per_h"], "inf");
}

#[test]
fn what_is_not_a_number_is_written_and_then_refused_by_name() {
    let mut problem = hours(1, vec![resource(1, 10.0, 0.0)]);
    problem.resources[0].energy_max_kwh = vec![f64::NAN];
    let text = serde_json::to_string(&problem).expect("writes");
    let back: Problem = serde_json::from_str(&text).expect("reads");
    let Err(ProblemError::Value { place, field, .. }) = validate(&back) else {
        panic!("not refused");
    };
    assert_eq!((place, field), (Place::Resource(0), "energy_max_kwh"));
}

#[test]
fn other_words_are_refused() {
    let problem = hours(1, vec![resource(1, 10.0, 0.0)]);
    let mut value = serde_json::to_value(&problem).expect("writes");
    value["resources"][0]["ramp_kw_per_h"] = "infinite".into();
    let error = serde_json::from_value::<Problem>(value).expect_err("refused");
    assert!(error.to_string().contains("infinite"), "{error}");
}
