//! The messages, word for word.

use serde_json::{Value, json};
use vpp_aggregator::protocol::{Connector, Phases, PileOrder, RateUnit};
use vpp_core::Power;

use crate::common::{at, kw};
use crate::orders::{ac, dc, message};

fn order(setpoint: Power) -> PileOrder {
    PileOrder {
        setpoint,
        valid_until: at(59_250),
        fallback: kw(3),
    }
}

fn said(version: &str, connector: &Connector, transaction: bool, setpoint: Power) -> Value {
    message(version, connector, transaction, &order(setpoint), at(0)).unwrap()
}

#[test]
fn a_limit_in_amperes_in_1_6() {
    let pile = Connector::charging(2, ac(Phases::One, RateUnit::Amperes)).unwrap();
    assert_eq!(
        said("1.6", &pile, true, kw(7)),
        json!({"connectorId": 2, "csChargingProfiles": {
            "chargingProfileId": 10,
            "transactionId": 7,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "startSchedule": "2025-07-15T07:59:59.250Z",
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": 29.6, "numberPhases": 1},
                    {"startPeriod": 60, "limit": 12.7, "numberPhases": 1},
                ],
            },
        }})
    );
}

#[test]
fn a_limit_in_watts_in_2_0_1() {
    let pile = Connector::charging(2, ac(Phases::Three, RateUnit::Watts)).unwrap();
    assert_eq!(
        said("2.0.1", &pile, false, kw(7)),
        json!({"evseId": 2, "chargingProfile": {
            "id": 9,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [{
                "id": 9,
                "startSchedule": "2025-07-15T07:59:59.250Z",
                "chargingRateUnit": "W",
                // 3 kW are less than 6 A on three phases: nothing.
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": 7000, "numberPhases": 3},
                    {"startPeriod": 60, "limit": 0, "numberPhases": 3},
                ],
            }],
        }})
    );
}

#[test]
fn a_discharge_in_2_1() {
    let pile = Connector::bidirectional(2, dc(kw(0))).unwrap();
    assert_eq!(
        said("2.1", &pile, true, kw(-15))["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"],
        json!([
            {"startPeriod": 0, "operationMode": "CentralSetpoint", "limit": 0, "setpoint": -15000, "dischargeLimit": -15000},
            {"startPeriod": 60, "operationMode": "ChargingOnly", "limit": 3000},
        ])
    );
    assert_eq!(
        said("2.1", &pile, true, kw(15))["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
            [0],
        json!({"startPeriod": 0, "operationMode": "CentralSetpoint", "limit": 15000, "setpoint": 15000, "dischargeLimit": 0})
    );
}
