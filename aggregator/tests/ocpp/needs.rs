//! What vehicles say of themselves, into sessions.

use serde_json::{Value, json};
use vpp_aggregator::protocol::{
    Absent, Connector, Measured, Needs, Phases, RateUnit, needs, pile_reading,
};
use vpp_core::{Energy, Pile, PileKind, Power};

use crate::common::{at, kw, kwh};
use crate::orders::{ac, dc};
use crate::schemas::check;

fn message(needs: &Value) -> Value {
    json!({"evseId": 2, "chargingNeeds": needs})
}

fn read(versions: &[&str], connector: &Connector, needs: &Value) -> Needs {
    let payload = message(needs);
    for version in versions {
        check(version, "NotifyEVChargingNeeds", &payload);
    }
    needs::v2(&payload, connector).unwrap()
}

fn registered(kind: PileKind, rated: i64, discharge: i64) -> Pile {
    Pile {
        kind,
        count: 1,
        rated_power: kw(rated),
        discharge_power: kw(discharge),
    }
}

const BOTH: [&str; 2] = ["2.0.1", "2.1"];

fn three_phase() -> Connector {
    Connector::charging(2, ac(Phases::Three, RateUnit::Watts)).unwrap()
}

fn discharging() -> Connector {
    Connector::bidirectional(2, dc(kw(0))).unwrap()
}

fn v2x() -> Value {
    json!({
        "requestedEnergyTransfer": "DC_BPT",
        "departureTime": "2025-07-15T18:00:00Z",
        "v2xChargingParameters": {
            "minChargePower": 500.5,
            "maxChargePower": 60000,
            "maxDischargePower": 15000.9,
            "evTargetEnergyRequest": 20000,
            "evMaxEnergyRequest": 30000,
            "evMinV2XEnergyRequest": -12500,
        },
    })
}

#[test]
fn alternating_current() {
    let needs = json!({
        "requestedEnergyTransfer": "AC_single_phase",
        "departureTime": "2025-07-15T18:00:00Z",
        "acChargingParameters": {"energyAmount": 12000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 400},
    });
    let needs = read(&BOTH, &three_phase(), &needs);
    assert_eq!(needs.departure, Ok(at(36_000_000)));
    assert_eq!(needs.energy_needed, Ok(kwh(12.0)));
    assert_eq!(
        needs.energy_room,
        Err(Absent::NotReported {
            figure: "evMaxEnergyRequest"
        })
    );
    // One phase of 220 V at a pile with three.
    assert_eq!(needs.max_charge, Ok(Power::from_watts(7_040)));
    assert_eq!(needs.min_charge, Ok(Power::from_watts(1_320)));
    // It goes in one direction, so there is nothing to give: that is known.
    assert_eq!(needs.energy_available, Ok(Energy::ZERO));
    assert_eq!(needs.max_discharge, Ok(Power::ZERO));
    // Three phases at a pile with one are one.
    let one = Connector::charging(2, ac(Phases::One, RateUnit::Watts)).unwrap();
    let needs = json!({
        "requestedEnergyTransfer": "AC_three_phase",
        "acChargingParameters": {"energyAmount": 1, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400},
    });
    assert_eq!(
        read(&BOTH, &one, &needs).max_charge,
        Ok(Power::from_watts(3_520))
    );
    assert_eq!(
        read(&BOTH, &three_phase(), &needs).max_charge,
        Ok(Power::from_watts(10_560))
    );
}

#[test]
fn direct_current() {
    let mut needs = json!({
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {
            "evMaxCurrent": 200, "evMaxVoltage": 450, "evMaxPower": 80000, "energyAmount": 30000,
            "evEnergyCapacity": 70000, "stateOfCharge": 40, "fullSoC": 90,
        },
    });
    let pile = Connector::charging(2, dc(kw(0))).unwrap();
    let said = read(&BOTH, &pile, &needs);
    assert_eq!(said.energy_needed, Ok(kwh(30.0)));
    assert_eq!(said.energy_room, Ok(kwh(35.0)));
    assert_eq!(said.max_charge, Ok(kw(80)));
    assert_eq!(
        said.departure,
        Err(Absent::NotReported {
            figure: "departureTime"
        })
    );
    needs["dcChargingParameters"] = json!({"evMaxCurrent": 200, "evMaxVoltage": 450});
    let said = read(&BOTH, &pile, &needs);
    assert_eq!(said.max_charge, Ok(kw(90)));
    assert_eq!(
        said.energy_needed,
        Err(Absent::NotReported {
            figure: "energyAmount"
        })
    );
    assert_eq!(
        said.energy_room,
        Err(Absent::NotReported {
            figure: "evMaxEnergyRequest"
        })
    );
}

#[test]
fn vehicle_to_grid() {
    let said = read(&["2.1"], &discharging(), &v2x());
    assert_eq!(said.energy_needed, Ok(kwh(20.0)));
    assert_eq!(said.energy_room, Ok(kwh(30.0)));
    assert_eq!(said.energy_available, Ok(kwh(12.5)));
    // The most is rounded down, the least up.
    assert_eq!(said.max_discharge, Ok(Power::from_watts(15_000)));
    assert_eq!(said.min_charge, Ok(Power::from_watts(501)));
    // Below the least state for vehicle-to-grid nothing can be taken; above the target nothing is needed.
    let mut needs = v2x();
    needs["v2xChargingParameters"]["evMinV2XEnergyRequest"] = json!(5_000);
    needs["v2xChargingParameters"]["evTargetEnergyRequest"] = json!(-1_000);
    let said = read(&["2.1"], &discharging(), &needs);
    assert_eq!(
        (said.energy_available, said.energy_needed),
        (Ok(Energy::ZERO), Ok(Energy::ZERO))
    );
    // Per phase.
    let mut needs = v2x();
    needs["requestedEnergyTransfer"] = json!("AC_BPT");
    needs["v2xChargingParameters"]["maxDischargePower_L2"] = json!(2_000);
    needs["v2xChargingParameters"]["maxDischargePower_L3"] = json!(3_000.2);
    let said = read(&["2.1"], &three_phase(), &needs);
    assert_eq!(said.max_discharge, Ok(Power::from_watts(20_001)));
    // Parameters without a transfer in both directions promise nothing.
    let mut needs = v2x();
    needs["requestedEnergyTransfer"] = json!("DC");
    let said = read(&["2.1"], &discharging(), &needs);
    assert_eq!(
        (said.energy_available, said.max_discharge),
        (Ok(Energy::ZERO), Ok(Power::ZERO))
    );
    // Nothing said is not nothing.
    let mut needs = v2x();
    needs["v2xChargingParameters"] = json!({});
    let said = read(&["2.1"], &discharging(), &needs);
    assert_eq!(
        said.energy_available,
        Err(Absent::NotReported {
            figure: "evMinV2XEnergyRequest"
        })
    );
    assert_eq!(
        said.max_discharge,
        Err(Absent::NotReported {
            figure: "maxDischargePower"
        })
    );
}

#[test]
fn numbers_that_make_no_sense_are_absent() {
    let mut needs = v2x();
    needs["v2xChargingParameters"]["maxDischargePower"] = json!(-15_000);
    needs["v2xChargingParameters"]["maxChargePower_L2"] = json!(-1);
    needs["v2xChargingParameters"]["evMaxEnergyRequest"] = json!(1e300);
    let said = read(&["2.1"], &discharging(), &needs);
    let prefix = "chargingNeeds.v2xChargingParameters";
    assert_eq!(
        said.max_discharge.unwrap_err().to_string(),
        format!("{prefix}.maxDischargePower: -15000 is negative")
    );
    assert_eq!(
        said.max_charge.unwrap_err().to_string(),
        format!("{prefix}.maxChargePower_L2: -1 is negative")
    );
    assert!(
        said.energy_room
            .unwrap_err()
            .to_string()
            .starts_with(&format!("{prefix}.evMaxEnergyRequest: "))
    );
}

#[test]
fn messages_of_another_form_name_the_field() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut payload = message(&v2x());
        change(&mut payload);
        needs::v2(&payload, &discharging()).unwrap_err().field
    };
    assert_eq!(refused(&|value| value["evseId"] = json!(3)), "evseId");
    assert_eq!(
        refused(&|value| value["chargingNeeds"]["requestedEnergyTransfer"] = json!("Wireless")),
        "chargingNeeds.requestedEnergyTransfer"
    );
    assert_eq!(
        refused(&|value| value["chargingNeeds"]["departureTime"] = json!("18:00")),
        "chargingNeeds.departureTime"
    );
    assert_eq!(
        refused(
            &|value| value["chargingNeeds"]["v2xChargingParameters"]["maxChargePower"] =
                json!("60")
        ),
        "chargingNeeds.v2xChargingParameters.maxChargePower"
    );
}

#[test]
fn readings_are_put_together() {
    let power = Ok(Measured {
        value: kw(-10),
        sampled_at: at(0),
    });
    let said = read(&["2.1"], &discharging(), &v2x());
    let pile = registered(PileKind::Dc, 50, 20);
    let reading = pile_reading(1, &discharging(), &pile, &power, &said).unwrap();
    assert_eq!((reading.pile, reading.active_power), (1, kw(-10)));
    assert_eq!(reading.min_charge, Power::from_watts(501));
    let session = &reading.session;
    assert_eq!(
        (session.energy_needed, session.energy_room),
        (kwh(20.0), kwh(30.0))
    );
    assert_eq!(session.energy_available, kwh(12.5));
    // Pile and vehicle together.
    assert_eq!(
        (session.max_charge, session.max_discharge),
        (kw(50), Power::from_watts(15_000))
    );
    // At a pile that cannot discharge the same vehicle gives nothing.
    let one_way = Connector::charging(2, dc(kw(1))).unwrap();
    let reading = pile_reading(1, &one_way, &pile, &power, &said).unwrap();
    assert_eq!(
        (
            reading.session.energy_available,
            reading.session.max_discharge
        ),
        (Energy::ZERO, Power::ZERO)
    );
    assert_eq!(reading.min_charge, kw(1));
}

#[test]
fn what_is_missing_is_said_and_the_operator_may_say_it() {
    let pile = registered(PileKind::Ac, 7, 0);
    let connector = Connector::charging(2, ac(Phases::One, RateUnit::Amperes)).unwrap();
    let power = Err(Absent::NotReported {
        figure: "Power.Active.Import",
    });
    let missing = pile_reading(0, &connector, &pile, &power, &Needs::unknown(2)).unwrap_err();
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(
        missing,
        [
            "Power.Active.Import was not reported",
            "evMaxEnergyRequest was not reported",
            "maxChargePower was not reported",
        ]
    );
    // A pile of 1.6: the operator's reservation has the rest.
    let reserved = Needs {
        departure: Ok(at(1)),
        energy_needed: Ok(kwh(5.0)),
        energy_room: Ok(kwh(5.0)),
        max_charge: Ok(kw(9)),
        ..Needs::unknown(2)
    };
    let power = Ok(Measured {
        value: kw(7),
        sampled_at: at(0),
    });
    let needs = Needs::unknown(2).or(&reserved).after(kwh(2.0));
    let reading = pile_reading(0, &connector, &pile, &power, &needs).unwrap();
    assert!(reading.says);
    assert_eq!(reading.session.energy_needed, kwh(3.0));
    assert_eq!(reading.session.max_charge, kw(7));
    assert_eq!(reading.min_charge, Power::from_watts(6 * 236));
    // Where nobody says when it leaves, the need of one that leaves at that time means nothing either.
    let unsaid = Needs {
        departure: Needs::unknown(2).departure,
        ..reserved.clone()
    };
    let reading = pile_reading(0, &connector, &pile, &power, &unsaid).unwrap();
    assert!(!reading.says);
    assert_eq!(reading.session.energy_needed, kwh(5.0), "all that fits");
    let broken = Needs {
        energy_room: Ok(kwh(1.0)),
        ..reserved
    };
    let refused = pile_reading(0, &connector, &pile, &power, &broken).unwrap_err();
    assert_eq!(
        refused[0].to_string(),
        "energy_needed: 5.0 kWh is above the room of 1.0 kWh"
    );
}

#[test]
fn needs_go_with_the_register() {
    let said = read(&["2.1"], &discharging(), &v2x());
    let later = said.clone().after(kwh(25.0));
    assert_eq!(
        (later.energy_needed, later.energy_room),
        (Ok(Energy::ZERO), Ok(kwh(5.0)))
    );
    assert_eq!(later.energy_available, Ok(kwh(37.5)));
    let later = said.after(kwh(-15.0));
    assert_eq!(
        (later.energy_needed, later.energy_room),
        (Ok(kwh(35.0)), Ok(kwh(45.0)))
    );
    assert_eq!(later.energy_available, Ok(Energy::ZERO));
    // What goes in one direction does not become available.
    let mut one_way = v2x();
    one_way["requestedEnergyTransfer"] = json!("DC");
    let later = read(&["2.1"], &discharging(), &one_way).after(kwh(1.0));
    assert_eq!(later.energy_available, Ok(Energy::ZERO));
}
