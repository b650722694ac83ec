use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::*;

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn price(cny: i64) -> Price {
    Price::from_cny_per_kwh(Decimal::from(cny))
}

/// From minute 120 to 180, declarations until minute 60.
fn invitation() -> Invitation {
    Invitation {
        kind: Kind::Intraday,
        product: Product::Active(Direction::Shaving),
        scope: Scope::All,
        demand: Power::from_watts(50_000),
        interval: Interval::new(at(120), at(180)).expect("in order"),
        declare_until: at(60),
        bounds: Bounds {
            floor: price(0),
            cap: price(5),
            least: Power::from_watts(1_000),
        },
        pricing: Pricing::PayAsBid,
    }
}

fn offer(name: &str, kw: i64, cny: i64) -> Action {
    let offer = Offer {
        aggregator: AggregatorId::new(name).expect("an id"),
        power: Power::from_watts(1_000 * kw),
        price: price(cny),
        whole: false,
    };
    Action::Declare(offer, Power::from_watts(100_000))
}

#[test]
fn from_invitation_to_payment_with_every_step_in_the_trail() {
    let mut process = Process::publish(at(0), invitation()).expect("sound");
    let withdrawn = AggregatorId::new("c").expect("an id");
    let steps = [
        (1, offer("a", 30, 3), State::Published),
        (2, offer("c", 30, 1), State::Published),
        (3, Action::Withdraw(withdrawn), State::Published),
        (59, offer("b", 40, 2), State::Published),
        (60, Action::Clear, State::Cleared),
        (120, Action::Begin, State::Executing),
        (180, Action::End, State::Executed),
        (200, Action::Evaluate, State::Evaluated),
        (300, Action::Pay, State::Paid),
    ];
    for (minute, action, state) in &steps {
        assert_eq!(process.apply(at(*minute), action.clone()), Ok(*state));
    }
    let clearing = process.clearing().expect("cleared");
    let watts: Vec<i64> = clearing
        .taken
        .iter()
        .map(|taken| taken.power.as_watts())
        .collect();
    assert_eq!(watts, [10_000, 40_000]);
    assert_eq!(process.trail().len(), steps.len());
    for (entry, (minute, action, state)) in process.trail().iter().zip(&steps) {
        assert_eq!(
            (entry.at, &entry.action, entry.to),
            (at(*minute), action, *state)
        );
    }
    assert!(process.apply(at(301), Action::Pay).is_err());
}

#[test]
fn a_step_at_the_wrong_time_or_out_of_order_changes_nothing() {
    let mut process = Process::publish(at(0), invitation()).expect("sound");
    process.apply(at(10), offer("a", 30, 3)).expect("declared");
    let before = process.clone();
    let table = [
        (5, offer("b", 30, 3), "time"),
        (11, offer("a", 20, 2), "aggregator_id"),
        (11, offer("b", 20, 6), "price"),
        (11, offer("b", 200, 2), "power_kw"),
        (60, offer("b", 20, 2), "declaration"),
        (
            11,
            Action::Withdraw(AggregatorId::new("z").expect("an id")),
            "aggregator_id",
        ),
        (59, Action::Clear, "clearing"),
        (120, Action::Clear, "clearing"),
        (120, Action::Begin, "invitation"),
        (120, Action::Pay, "invitation"),
    ];
    for (minute, action, field) in table {
        let refused = process
            .apply(at(minute), action.clone())
            .expect_err("refused");
        assert_eq!(refused.field, field, "{action:?}");
        assert_eq!(process, before, "{action:?}");
    }
    process.apply(at(61), Action::Clear).expect("cleared");
    for (minute, action, field) in [
        (119, Action::Begin, "execution"),
        (70, Action::End, "invitation"),
    ] {
        assert_eq!(
            process
                .apply(at(minute), action)
                .expect_err("refused")
                .field,
            field
        );
    }
    process.apply(at(120), Action::Begin).expect("begun");
    assert_eq!(
        process
            .apply(at(179), Action::End)
            .expect_err("early")
            .field,
        "execution"
    );
    let storm = Action::Cancel("the grid needs it no longer".into());
    assert_eq!(process.apply(at(150), storm), Ok(State::Cancelled));
    assert!(process.apply(at(180), Action::End).is_err());
}

#[test]
fn declarations_have_an_end_and_what_is_over_is_not_called_off() {
    let mut process = Process::publish(at(0), invitation()).expect("sound");
    let name = AggregatorId::new("a").expect("an id");
    while process.trail().len() < MOST_STEPS {
        process.apply(at(1), offer("a", 30, 3)).expect("declared");
        let withdrawn = process.apply(at(1), Action::Withdraw(name.clone()));
        withdrawn.expect("withdrawn");
    }
    let refused = process
        .apply(at(1), offer("a", 30, 3))
        .expect_err("refused");
    assert!(
        refused.problem.contains("no more declarations"),
        "{refused}"
    );

    let mut process = Process::publish(at(0), invitation()).expect("sound");
    for (minute, action) in [
        (1, offer("a", 30, 3)),
        (60, Action::Clear),
        (120, Action::Begin),
    ] {
        process.apply(at(minute), action).expect("in order");
    }
    let late = process.apply(at(180), Action::Cancel("late".into()));
    assert!(late.expect_err("over").problem.contains("was over"));
    assert_eq!(process.apply(at(180), Action::End), Ok(State::Executed));
}

#[test]
fn what_cannot_be_invited_to_is_refused_by_field() {
    type Spoil = fn(&mut Invitation);
    let table: [(&str, Spoil); 6] = [
        ("product", |i| i.product = Product::Reactive),
        ("product", |i| i.product = Product::Reserve),
        ("demand_kw", |i| i.demand = Power::ZERO),
        ("declare_until", |i| i.declare_until = at(121)),
        ("declare_until", |i| i.declare_until = at(0)),
        ("start_time", |i| {
            i.interval = Interval::new(at(-10), at(10)).expect("in order");
        }),
    ];
    for (field, spoil) in table {
        let mut invitation = invitation();
        spoil(&mut invitation);
        let refused = Process::publish(at(0), invitation).expect_err("refused");
        assert_eq!(refused.field, field);
    }
}
