//! The protocol mapping as a filter, one JSON object a line, for `tools/ocpp/peer.py`: with `orders`, prints messages for a
//! station; without, reads messages of a station from standard input and prints what they say.

use std::io::BufRead as _;

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use vpp_aggregator::protocol::{
    Ac, Connector, OrderError, Phases, PileOrder, RateUnit, Supply, Wiring, answer, meter, needs,
    status, transaction, v2, v16,
};
use vpp_core::{Invalid, Power, Timestamp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("orders") {
        return orders();
    }
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let connector = direct()?;
        let old = message["version"] == "1.6";
        let payload = &message["payload"];
        let said = match message["action"].as_str() {
            Some("MeterValues") if old => debug(meter::v16(payload)),
            Some("MeterValues") => debug(meter::v2(payload)),
            Some("StatusNotification") if old => debug(status::v16(payload)),
            Some("StatusNotification") => debug(status::v2(payload)),
            Some("TransactionEvent") => debug(transaction::v2(payload)),
            Some("NotifyEVChargingNeeds") => debug(needs::v2(payload, &connector)),
            Some("SetChargingProfileResponse") if old => debug(answer::v16(payload)),
            Some("SetChargingProfileResponse") => debug(answer::v2(payload)),
            other => Err(format!("{other:?} is not read")),
        };
        println!(
            "{}",
            json!({"ok": said.is_ok(), "says": said.unwrap_or_else(|refused| refused)})
        );
    }
    Ok(())
}

fn debug<T: std::fmt::Debug>(read: Result<T, Invalid>) -> Result<String, String> {
    read.map(|read| format!("{read:?}"))
        .map_err(|refused| refused.to_string())
}

fn direct() -> Result<Connector, Invalid> {
    let supply = Supply::Dc { least: Power::ZERO };
    Connector::bidirectional(1, Wiring::new(supply, RateUnit::Watts)?)
}

/// Setpoints of many sizes to three kinds of piles in all versions.
fn orders() -> Result<(), Box<dyn std::error::Error>> {
    let now = DateTime::from_timestamp_millis(1_752_566_400_250).ok_or("no such instant")?;
    let ac = |unit| Wiring::new(Supply::Ac(Ac::at_220_volts(Phases::Three)), unit);
    let connectors = [
        Connector::charging(1, ac(RateUnit::Amperes)?)?,
        Connector::charging(1, ac(RateUnit::Watts)?)?,
        direct()?,
    ];
    for watts in (-30_000..=30_000).step_by(1_237) {
        for connector in connectors {
            let order = PileOrder {
                setpoint: Power::from_watts(watts),
                valid_until: now + TimeDelta::milliseconds(61_001),
                fallback: Power::from_watts(7_000),
            };
            for version in ["1.6", "2.0.1", "2.1"] {
                let line = match message(version, &connector, &order, now) {
                    Ok(payload) => {
                        json!({"version": version, "setpoint_w": watts, "payload": payload})
                    }
                    Err(refused) => {
                        json!({"version": version, "setpoint_w": watts, "refused": refused.to_string()})
                    }
                };
                println!("{line}");
            }
        }
    }
    Ok(())
}

fn message(
    version: &str,
    connector: &Connector,
    order: &PileOrder,
    now: Timestamp,
) -> Result<Value, OrderError> {
    let newer = match version {
        "2.0.1" => v2::Version::V201,
        "2.1" => v2::Version::V21,
        _ => {
            let purpose = v16::Purpose::Transaction(7);
            let message = v16::set_charging_profile(connector, purpose, order, now)?;
            return Ok(json!(message));
        }
    };
    let purpose = v2::Purpose::Transaction("7");
    let message = v2::set_charging_profile(newer, connector, purpose, order, now)?;
    Ok(json!(message))
}
