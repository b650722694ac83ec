//! Any setpoint to any pile: every message passes the schema, the station takes it, does what was asked until the lease ends and
//! not more, and then falls back by itself.

use chrono::{SubsecRound as _, TimeDelta};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vpp_aggregator::protocol::order::fallbacks;
use vpp_aggregator::protocol::{
    Ac, Answer, Connector, OrderError, Phases, PileOrder, RateUnit, Supply, Wiring, answer, v2, v16,
};
use vpp_aggregator::{Lease, PileSetpoint};
use vpp_core::{Power, Timestamp};

use crate::common::{at, kw};
use crate::schemas::check;
use crate::station::{Station, Told};

const VERSIONS: [&str; 3] = ["1.6", "2.0.1", "2.1"];

fn watts(watts: i64) -> Power {
    Power::from_watts(watts)
}

pub(crate) fn ac(phases: Phases, unit: RateUnit) -> Wiring {
    Wiring::new(Supply::Ac(Ac::at_220_volts(phases)), unit).unwrap()
}

pub(crate) fn dc(least: Power) -> Wiring {
    Wiring::new(Supply::Dc { least }, RateUnit::Watts).unwrap()
}

fn phases(wiring: Wiring) -> i64 {
    match wiring.supply() {
        Supply::Ac(ac) => i64::from(ac.phases().count()),
        Supply::Dc { .. } => 0,
    }
}

/// As it goes over the wire; read back it is the same message.
fn payload<M: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(message: &M) -> Value {
    let text = serde_json::to_string(message).unwrap();
    assert_eq!(serde_json::from_str::<M>(&text).unwrap(), *message);
    serde_json::from_str(&text).unwrap()
}

/// The message of a version, for transaction 7 or for all.
pub(crate) fn message(
    version: &str,
    connector: &Connector,
    transaction: bool,
    order: &PileOrder,
    now: Timestamp,
) -> Result<Value, OrderError> {
    let newer = |version| {
        let purpose = if transaction {
            v2::Purpose::Transaction("7")
        } else {
            v2::Purpose::Default
        };
        Ok(payload(&v2::set_charging_profile(
            version, connector, purpose, order, now,
        )?))
    };
    let message = match version {
        "1.6" => {
            let purpose = if transaction {
                v16::Purpose::Transaction(7)
            } else {
                v16::Purpose::Default
            };
            payload(&v16::set_charging_profile(connector, purpose, order, now)?)
        }
        "2.0.1" => newer(v2::Version::V201)?,
        _ => newer(v2::Version::V21)?,
    };
    check(version, "SetChargingProfile", &message);
    Ok(message)
}

pub(crate) fn take(version: &str, station: &mut Station, message: &Value) {
    let answered = station.set(message);
    check(version, "SetChargingProfileResponse", &answered);
    let answer = match version {
        "1.6" => answer::v16(&answered).unwrap(),
        _ => answer::v2(&answered).unwrap(),
    };
    assert_eq!(answer, Answer::Accepted, "{message}: {answered}");
}

fn wirings() -> impl Strategy<Value = Wiring> {
    let phases = prop_oneof![Just(Phases::One), Just(Phases::Two), Just(Phases::Three)];
    let unit = prop_oneof![Just(RateUnit::Watts), Just(RateUnit::Amperes)];
    prop_oneof![
        (phases, unit).prop_map(|(phases, unit)| ac(phases, unit)),
        (0i64..20_000).prop_map(|least| dc(watts(least))),
    ]
}

fn connectors() -> impl Strategy<Value = Connector> {
    (1u32..500, wirings(), any::<bool>()).prop_map(|(number, wiring, both)| {
        let both_ways = Connector::bidirectional(number, wiring);
        let one_way = Connector::charging(number, wiring).unwrap();
        if both {
            both_ways.unwrap_or(one_way)
        } else {
            one_way
        }
    })
}

/// A connector, and a setpoint that its version and it can follow.
fn cases() -> impl Strategy<Value = (&'static str, Connector, Power)> {
    (
        prop::sample::select(&VERSIONS[..]),
        connectors(),
        -400_000i64..400_000,
    )
        .prop_map(|(version, connector, drawn)| {
            let setpoint = watts(drawn);
            let setpoint = if setpoint < Power::ZERO {
                if version == "2.1" && connector.discharges() {
                    setpoint
                } else {
                    Power::ZERO
                }
            } else {
                setpoint.max(connector.wiring().least())
            };
            (version, connector, setpoint)
        })
}

/// That a limit or setpoint is the power, or for amperes the next tenth below at the highest voltage.
fn holds(connector: &Connector, told: Told, power: Power) -> Result<(), TestCaseError> {
    let asked = kilowatts(power) * 1e3;
    if !told.in_amperes {
        prop_assert!((told.watts() - asked).abs() < 1e-6, "{told:?} for {power}");
        return Ok(());
    }
    #[allow(clippy::cast_precision_loss)]
    let per_ampere = 236.0 * phases(connector.wiring()) as f64;
    let drawn = told.limit * per_ampere;
    prop_assert!(
        drawn <= asked + 1e-6,
        "{told:?} draws {drawn} W for {power}"
    );
    prop_assert!(
        drawn > asked - 0.1 * per_ampere - 1e-6,
        "{told:?} for {power}"
    );
    prop_assert!(told.limit == 0.0 || told.limit >= 6.0, "{told:?}");
    Ok(())
}

fn kilowatts(power: Power) -> f64 {
    power.as_kilowatts()
}

proptest! {
    #[test]
    fn a_pile_does_what_it_is_told_and_falls_back(
        (version, connector, setpoint) in cases(),
        transaction in any::<bool>(),
        fallback in 0i64..400_000,
        now_us in 0i64..10_000_000_000,
        lease_us in 1_000i64..1_000_000_000,
    ) {
        let now = at(0) + TimeDelta::microseconds(now_us);
        let valid_until = now + TimeDelta::microseconds(lease_us);
        let order = PileOrder { setpoint, valid_until, fallback: watts(fallback) };
        let message = message(version, &connector, transaction, &order, now).unwrap();
        let mut station = Station::new(version, phases(connector.wiring()));
        take(version, &mut station, &message);
        let id = if version == "1.6" { json!(7) } else { json!("7") };
        let number = u64::from(connector.number());
        let told = |at| station.told(number, Some(&id), at).unwrap();
        let end = valid_until.trunc_subsecs(3);
        for at in [now, now + (end - now) / 2, end - TimeDelta::nanoseconds(1)] {
            let told = told(at);
            holds(&connector, told, setpoint)?;
            // What overshoots a setpoint to discharge still draws nothing, and does not discharge more.
            if let Some(lowest) = told.discharge_limit {
                let asked = kilowatts(setpoint) * 1e3;
                prop_assert!((lowest - asked.min(0.0)).abs() < 1e-6, "{told:?}");
                prop_assert!((told.limit - asked.max(0.0)).abs() < 1e-6, "{told:?}");
            }
        }
        let least = connector.wiring().least();
        let ceiling = if order.fallback < least { Power::ZERO } else { order.fallback };
        for at in [end, valid_until, valid_until + TimeDelta::days(300)] {
            let told = told(at);
            prop_assert_eq!(told.setpoint, None);
            holds(&connector, told, ceiling)?;
        }
        // A profile for one transaction says nothing to another.
        let other = station.told(number, Some(&json!("8")), now);
        prop_assert_eq!(other.is_none(), transaction);
    }

    #[test]
    fn what_a_version_cannot_say_is_refused(
        version in prop::sample::select(&VERSIONS[..]),
        connector in connectors(),
        setpoint in -400_000i64..-1,
    ) {
        let order = PileOrder { setpoint: watts(setpoint), valid_until: at(60_000), fallback: kw(0) };
        let refused = message(version, &connector, false, &order, at(0));
        match version {
            "2.1" if connector.discharges() => prop_assert!(refused.is_ok()),
            "2.1" => prop_assert_eq!(refused.unwrap_err(), OrderError::CannotDischarge {
                connector: connector.number(), setpoint: order.setpoint,
            }),
            version => prop_assert_eq!(refused.unwrap_err(), OrderError::VersionCannotDischarge {
                version, setpoint: order.setpoint,
            }),
        }
    }

    #[test]
    fn fallbacks_never_add_up_to_more(
        fallback in 0i64..400_000,
        connectors in prop::collection::vec(connectors(), 0..30),
    ) {
        let parts = fallbacks(watts(fallback), &connectors).unwrap();
        prop_assert_eq!(parts.len(), connectors.len());
        prop_assert!(parts.iter().sum::<Power>() <= watts(fallback));
        for (part, connector) in parts.iter().zip(&connectors) {
            prop_assert!(*part == Power::ZERO || *part >= connector.wiring().least());
        }
        // Nothing to speak of is left over where the first one can have it.
        if let Some(first) = connectors.first().filter(|first| first.wiring().least() <= watts(fallback)) {
            prop_assert!(parts[0] >= first.wiring().least());
            let left = watts(fallback) - parts.iter().sum::<Power>();
            prop_assert!(left.as_watts() < 30, "{left} left");
        }
    }
}

#[test]
fn a_station_without_orders_keeps_its_own_fallback() {
    for version in VERSIONS {
        let wiring = ac(Phases::Three, RateUnit::Watts);
        let lease = Lease {
            setpoint: kw(100),
            valid_until: at(60_500),
            fallback: kw(20),
        };
        let ceiling = match version {
            "1.6" => payload(&v16::station_ceiling(wiring, kw(100), &lease, at(0)).unwrap()),
            "2.0.1" => payload(
                &v2::station_ceiling(v2::Version::V201, wiring, kw(100), &lease, at(0)).unwrap(),
            ),
            _ => payload(
                &v2::station_ceiling(v2::Version::V21, wiring, kw(100), &lease, at(0)).unwrap(),
            ),
        };
        check(version, "SetChargingProfile", &ceiling);
        let mut station = Station::new(version, 3);
        take(version, &mut station, &ceiling);
        // A pile that nobody caps any more stays below the station's fallback all the same.
        let pile = Connector::charging(1, wiring).unwrap();
        let order = PileOrder {
            setpoint: kw(50),
            valid_until: at(60_500),
            fallback: kw(50),
        };
        take(
            version,
            &mut station,
            &message(version, &pile, false, &order, at(0)).unwrap(),
        );
        let told =
            |ms| Power::round_kilowatts(station.told(1, None, at(ms)).unwrap().watts() / 1e3);
        assert_eq!(
            [told(0), told(60_499), told(60_500)],
            [kw(50), kw(50), kw(20)]
        );
    }
}

#[test]
fn a_new_order_takes_the_place_of_the_last_one() {
    for version in VERSIONS {
        let mut station = Station::new(version, 3);
        let wiring = ac(Phases::Three, RateUnit::Watts);
        for second in 0..20 {
            for number in 1..=3 {
                let pile = Connector::charging(number, wiring).unwrap();
                let now = at(second * 1_000);
                let order = PileOrder {
                    setpoint: kw(10 + second),
                    valid_until: now + TimeDelta::seconds(10),
                    fallback: kw(5),
                };
                for transaction in [false, true] {
                    let message = message(version, &pile, transaction, &order, now).unwrap();
                    take(version, &mut station, &message);
                }
            }
        }
        assert_eq!(station.profiles(), 6, "{version}");
        assert!((station.told(2, None, at(19_000)).unwrap().watts() - 29_000.0).abs() < 1e-9);
    }
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let pile = Connector::charging(4, ac(Phases::One, RateUnit::Amperes)).unwrap();
    let order = |setpoint, fallback, valid_until| PileOrder {
        setpoint,
        valid_until: at(valid_until),
        fallback,
    };
    let refused = |order: PileOrder| {
        let answers =
            VERSIONS.map(|version| message(version, &pile, false, &order, at(0)).unwrap_err());
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[1], answers[2]);
        answers[0].to_string()
    };
    assert_eq!(
        refused(order(kw(1), kw(0), 1)),
        "setpoint 1.0 kW is below 1.4 kW, the least of pile 4"
    );
    assert_eq!(
        refused(order(kw(2), kw(-1), 1)),
        "fallback -1.0 kW is negative"
    );
    assert!(refused(order(kw(2), kw(1), 0)).starts_with("the lease ended at"));
    assert!(refused(order(kw(2), kw(1), 80 * 366 * 86_400_000)).starts_with("a lease until"));
    for id in ["", "0123456789012345678901234567890123456"] {
        let order = order(kw(2), kw(1), 1);
        let purpose = v2::Purpose::Transaction(id);
        let refused = v2::set_charging_profile(v2::Version::V21, &pile, purpose, &order, at(0));
        assert_eq!(
            refused.unwrap_err(),
            OrderError::TransactionId { length: id.len() }
        );
    }
    let told = [PileSetpoint {
        pile: 1,
        setpoint: kw(3),
    }];
    let lease = Lease {
        setpoint: kw(3),
        valid_until: at(1),
        fallback: kw(1),
    };
    let refused = PileOrder::for_station(&told, &lease, &[pile]).unwrap_err();
    assert_eq!(refused, OrderError::NoSuchPile { pile: 1, piles: 1 });
}

#[test]
fn piles_that_cannot_be_are_refused() {
    let direct = Supply::Dc { least: kw(0) };
    assert_eq!(
        Wiring::new(direct, RateUnit::Amperes).unwrap_err().field,
        "unit"
    );
    assert_eq!(
        Wiring::new(Supply::Dc { least: kw(-1) }, RateUnit::Watts)
            .unwrap_err()
            .field,
        "least"
    );
    let amperes = ac(Phases::One, RateUnit::Amperes);
    assert_eq!(
        Connector::bidirectional(1, amperes).unwrap_err().field,
        "unit"
    );
    assert_eq!(Connector::charging(0, amperes).unwrap_err().field, "number");
    assert_eq!(
        Connector::charging(100_001, amperes).unwrap_err().field,
        "number"
    );
    for (nominal, highest) in [(0, 230), (230, 220), (230, 1_001)] {
        assert_eq!(
            Ac::new(Phases::One, nominal, highest).unwrap_err().field,
            "highest_volts"
        );
    }
}
