//! Vehicles of which nobody says when they leave and what they need: six weeks in which the aggregators learn it, and charge them
//! by it.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use vpp_aggregator::Expectations;
use vpp_replay::run::Run;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::Tally;

/// The small fleet for some weeks without programmes, its charging planned all the time.
fn scenario(weeks: u32, stated_share: f64) -> Scenario {
    let text = include_str!("../../../scenarios/fleet-small.toml");
    let (text, _) = text.split_once("[[event]]").unwrap();
    let (_, fleet) = include_str!("../../../scenarios/fleet-small.toml")
        .split_once("[[aggregator]]")
        .unwrap();
    let text = text
        .replace(
            "duration_minutes = 10",
            &format!("duration_minutes = {}", weeks * 7 * 24 * 60),
        )
        .replace(
            "disobeying_pile_share = 0",
            &format!("stated_share = {stated_share}\ndisobeying_pile_share = 0"),
        );
    let text = format!("{text}[dispatch]\norderly = \"all\"\n\n[[aggregator]]{fleet}");
    Scenario::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn live(scenario: &Scenario) -> (Tally, Expectations) {
    let mut run = Run::new(scenario).unwrap();
    run.begin();
    while !run.is_over() {
        run.advance();
    }
    let (mut tally, mut all) = (Tally::default(), Expectations::default());
    for operator in run.plant().operators() {
        tally.add(&operator.sites().total());
        let found = operator.expectations();
        all.stays += found.stays;
        all.lasted += found.lasted;
        all.sufficed += found.sufficed;
    }
    assert_eq!(run.plant().counts().limit_violations, 0);
    (tally, all)
}

#[test]
fn who_says_nothing_is_charged_by_what_is_usual() {
    let (says, none) = live(&scenario(6, 1.0));
    assert_eq!(none, Expectations::default());
    let (tally, found) = live(&scenario(6, 0.5));
    // Some days are learned from; then nine of ten stay as long as expected, and nearly as many need no more: who was not yet
    // served when it left counts as one that wanted all that fitted in.
    #[allow(clippy::cast_precision_loss)] // some thousands
    let share = |count: u64, of: u64| count as f64 / of as f64;
    assert!(found.stays > 1_000, "{found:?}");
    assert!(share(found.lasted, found.stays) > 0.87, "{found:?}");
    assert!(share(found.sufficed, found.stays) > 0.85, "{found:?}");
    // Of those that say nothing hardly any leaves with less than it wanted.
    let short = tally.short_departures.saturating_sub(says.short_departures);
    assert!(share(short, found.stays) < 0.05, "{short} of {found:?}");
}
