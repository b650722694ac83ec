//! Meter values to readings: every message that can pass the schema does, and what makes no sense is absent with its reason.

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::{Value, json};
use vpp_aggregator::protocol::{Absent, ConnectorStatus, Reading, meter, transaction};
use vpp_core::Power;

use crate::common::{at, kwh};
use crate::schemas::{check, problems};

const TIME: &str = "2025-07-15T08:00:00Z";

/// A sample of 1.6 and the same of 2.x: measurand, value, unit, and what else there is.
fn sampled(version: &str, measurand: &str, value: &str, unit: &str, more: &Value) -> Value {
    let mut sample = match version {
        "1.6" => json!({"measurand": measurand, "value": value}),
        _ => json!({"measurand": measurand, "value": value.parse::<f64>().unwrap()}),
    };
    if !unit.is_empty() {
        match version {
            "1.6" => sample["unit"] = json!(unit),
            _ => sample["unitOfMeasure"] = json!({"unit": unit}),
        }
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        sample[name] = value.clone();
    }
    sample
}

fn message(version: &str, values: &[(&str, Vec<Value>)]) -> Value {
    let values: Vec<Value> = values
        .iter()
        .map(|(time, samples)| json!({"timestamp": time, "sampledValue": samples}))
        .collect();
    match version {
        "1.6" => json!({"connectorId": 3, "meterValue": values}),
        _ => json!({"evseId": 3, "meterValue": values}),
    }
}

fn read(version: &str, payload: &Value) -> Reading {
    check(version, "MeterValues", payload);
    let reading = match version {
        "1.6" => meter::v16(payload),
        _ => meter::v2(payload),
    };
    reading.unwrap()
}

/// Measurand, value, unit, and what else a sample says.
type Said<'a> = (&'a str, &'a str, &'a str, Value);

/// Power of samples of one instant, in any version.
fn power(samples: &[Said<'_>]) -> Result<i64, Absent> {
    let of = |version: &str| {
        let samples = samples.iter();
        let samples =
            samples.map(|(name, value, unit, more)| sampled(version, name, value, unit, more));
        let reading = read(version, &message(version, &[(TIME, samples.collect())]));
        reading.active_power.map(|power| power.value.as_watts())
    };
    let answers = ["1.6", "2.0.1", "2.1"].map(of);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
    answers[0].clone()
}

const IMPORT: &str = "Power.Active.Import";
const EXPORT: &str = "Power.Active.Export";

#[test]
fn power_is_import_less_export() {
    let none = Value::Null;
    let phase = |phase: &str| json!({"phase": phase});
    let cases: [(&[Said<'_>], i64); 8] = [
        (&[(IMPORT, "6.9", "kW", none.clone())], 6_900),
        (&[(IMPORT, "6900.4", "W", none.clone())], 6_900),
        (&[(EXPORT, "5000", "W", none.clone())], -5_000),
        (
            &[
                (IMPORT, "0", "W", none.clone()),
                (EXPORT, "5", "kW", none.clone()),
            ],
            -5_000,
        ),
        (
            &[
                (IMPORT, "1000", "W", phase("L1")),
                (IMPORT, "2", "kW", phase("L2-N")),
                (IMPORT, "3000", "W", phase("L3")),
            ],
            6_000,
        ),
        // The total goes before its phases.
        (
            &[
                (IMPORT, "1000", "W", phase("L1")),
                (IMPORT, "6000", "W", none.clone()),
            ],
            6_000,
        ),
        // What the pile draws goes before what the vehicle gets.
        (
            &[
                (IMPORT, "60", "kW", json!({"location": "Outlet"})),
                (IMPORT, "63", "kW", json!({"location": "Inlet"})),
            ],
            63_000,
        ),
        (
            &[
                (IMPORT, "60", "kW", none.clone()),
                (IMPORT, "63", "kW", json!({"location": "Body"})),
            ],
            60_000,
        ),
    ];
    for (samples, watts) in cases {
        assert_eq!(power(samples), Ok(watts), "{samples:?}");
    }
}

#[test]
fn power_that_makes_no_sense_is_absent() {
    let none = Value::Null;
    let reason = |samples: &[Said<'_>]| power(samples).unwrap_err().to_string();
    let first = "meterValue[0].sampledValue[0]";
    assert_eq!(
        reason(&[("SoC", "50", "Percent", none.clone())]),
        "Power.Active.Import was not reported"
    );
    assert_eq!(
        reason(&[(EXPORT, "0", "W", none.clone())]),
        "Power.Active.Import was not reported"
    );
    assert_eq!(
        reason(&[(IMPORT, "-5000", "W", none.clone())]),
        format!("{first}.value: -5000 is negative")
    );
    assert_eq!(
        reason(&[(IMPORT, "5000", "Wh", none.clone())]),
        format!("{first}: unit Wh, must be kW")
    );
    assert_eq!(
        reason(&[(IMPORT, "5000", "", none.clone())]),
        format!("{first}: no unit, must be kW")
    );
    assert_eq!(
        reason(&[(IMPORT, "1e12", "W", none.clone())]),
        format!("{first}: 1000000000 kW is beyond ±100000000 kW")
    );
    // One bad phase, or a bad export, spoils the whole: a part is not the power.
    assert_eq!(
        reason(&[
            (IMPORT, "1", "W", json!({"phase": "L1"})),
            (IMPORT, "-1", "W", json!({"phase": "L2"}))
        ]),
        "meterValue[0].sampledValue[1].value: -1 is negative"
    );
    assert_eq!(
        reason(&[
            (IMPORT, "1", "W", none.clone()),
            (EXPORT, "-1", "W", none.clone())
        ]),
        "meterValue[0].sampledValue[1].value: -1 is negative"
    );
    // A moment that is over says nothing of now.
    assert_eq!(
        reason(&[(IMPORT, "7000", "W", json!({"context": "Transaction.End"}))]),
        "Power.Active.Import was not reported"
    );
}

#[test]
fn texts_that_are_no_numbers_are_absent() {
    for text in [
        "NaN",
        "inf",
        "-Infinity",
        "1e999",
        "",
        "7,2",
        "7 kW",
        "0x10",
    ] {
        let sample = json!({"measurand": IMPORT, "value": text, "unit": "W"});
        let absent = read("1.6", &message("1.6", &[(TIME, vec![sample])]))
            .active_power
            .unwrap_err();
        let field = "meterValue[0].sampledValue[0].value".to_owned();
        assert_eq!(
            absent,
            Absent::NotANumber {
                field,
                text: json!(text).to_string()
            }
        );
    }
    let signed = json!({"measurand": IMPORT, "value": "A4F0", "unit": "W", "format": "SignedData"});
    let absent = read("1.6", &message("1.6", &[(TIME, vec![signed])]))
        .active_power
        .unwrap_err();
    assert_eq!(
        absent.to_string(),
        "meterValue[0].sampledValue[0]: signed data is not read"
    );
    // What no schema lets through does not get through here either, and spoils nothing else.
    for (version, value) in [
        ("1.6", json!(7000)),
        ("2.1", json!("7000")),
        ("2.0.1", Value::Null),
    ] {
        let mut bad = sampled(version, IMPORT, "1", "W", &Value::Null);
        bad["value"] = value;
        let good = sampled(version, "SoC", "55.5", "Percent", &Value::Null);
        let payload = message(version, &[(TIME, vec![bad, good])]);
        assert!(!problems(version, "MeterValues", &payload).is_empty());
        let reading = match version {
            "1.6" => meter::v16(&payload).unwrap(),
            _ => meter::v2(&payload).unwrap(),
        };
        assert!(matches!(
            reading.active_power,
            Err(Absent::NotANumber { .. })
        ));
        assert!((reading.state_of_charge.unwrap().value.as_percent() - 55.5).abs() < 1e-9);
    }
}

#[test]
fn registers_and_state_of_charge() {
    let none = Value::Null;
    for version in ["1.6", "2.0.1", "2.1"] {
        // Wh, import and outlet are what a sample means that says nothing.
        let bare = match version {
            "1.6" => json!({"value": "12345"}),
            _ => json!({"value": 12345}),
        };
        let samples = vec![
            bare,
            sampled(
                version,
                "Energy.Active.Export.Register",
                "2.5",
                "kWh",
                &none,
            ),
            sampled(version, "SoC", "81", "", &json!({"location": "EV"})),
        ];
        let reading = read(version, &message(version, &[(TIME, samples)]));
        assert_eq!(reading.connector, 3);
        assert_eq!(reading.energy_drawn.unwrap().value, kwh(12.345));
        assert_eq!(reading.energy_exported.unwrap().value, kwh(2.5));
        let state = reading.state_of_charge.unwrap();
        assert!((state.value.as_percent() - 81.0).abs() < 1e-9 && state.sampled_at == at(0));
        for (value, unit, problem) in [
            ("101", "Percent", "101 % is outside 0 % to 100 %"),
            ("-1", "Percent", "-1 % is outside 0 % to 100 %"),
            ("80", "V", "unit V, must be Percent"),
        ] {
            let samples = vec![sampled(version, "SoC", value, unit, &none)];
            let reading = read(version, &message(version, &[(TIME, samples)]));
            let field = "meterValue[0].sampledValue[0]";
            let reason = reading.state_of_charge.unwrap_err().to_string();
            assert_eq!(reason, format!("{field}: {problem}"));
            assert_eq!(
                reading.energy_drawn,
                Err(Absent::NotReported {
                    figure: "Energy.Active.Import.Register"
                })
            );
        }
    }
}

#[test]
fn multipliers_are_powers_of_ten() {
    for (value, unit, multiplier, watts) in [
        (72.0, "W", 2, 7_200),
        (7_200_000.0, "W", -3, 7_200),
        (0.72, "kW", 1, 7_200),
    ] {
        let sample = json!({"measurand": IMPORT, "value": value, "unitOfMeasure": {"unit": unit, "multiplier": multiplier}});
        let reading = read("2.1", &message("2.1", &[(TIME, vec![sample])]));
        assert_eq!(
            reading.active_power.unwrap().value,
            Power::from_watts(watts)
        );
    }
    let sample =
        json!({"measurand": IMPORT, "value": 1, "unitOfMeasure": {"unit": "W", "multiplier": 400}});
    let reading = read("2.1", &message("2.1", &[(TIME, vec![sample])]));
    assert!(matches!(
        reading.active_power,
        Err(Absent::NotANumber { .. })
    ));
}

#[test]
fn the_newest_sample_counts() {
    for version in ["1.6", "2.0.1", "2.1"] {
        let sample = |value: &str| vec![sampled(version, IMPORT, value, "W", &Value::Null)];
        let early = "2025-07-15T15:59:50+08:00";
        let values = [
            ("2025-07-15T08:00:10.5Z", sample("200")),
            (early, sample("100")),
        ];
        let power = read(version, &message(version, &values))
            .active_power
            .unwrap();
        assert_eq!(power.value, Power::from_watts(200));
        assert_eq!(power.sampled_at, at(0) + TimeDelta::milliseconds(10_500));
        // And an older one does not stand in for it.
        let values = [
            ("2025-07-15T08:00:10.5Z", sample("-200")),
            (early, sample("100")),
        ];
        let absent = read(version, &message(version, &values))
            .active_power
            .unwrap_err();
        assert!(matches!(absent, Absent::Negative { .. }));
    }
}

#[test]
fn messages_of_another_form_name_the_field() {
    let good = message("1.6", &[(TIME, vec![json!({"value": "1"})])]);
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut payload = good.clone();
        change(&mut payload);
        assert!(!problems("1.6", "MeterValues", &payload).is_empty());
        meter::v16(&payload).unwrap_err().field
    };
    assert_eq!(
        broken(&|value| value["connectorId"] = json!("3")),
        "connectorId"
    );
    assert_eq!(
        broken(&|value| value["meterValue"] = json!([])),
        "meterValue"
    );
    assert_eq!(
        broken(&|value| value["meterValue"][0]["timestamp"] = json!("now")),
        "meterValue[0].timestamp"
    );
    assert_eq!(
        broken(&|value| value["meterValue"][0]["sampledValue"] = json!(7)),
        "meterValue[0].sampledValue"
    );
}

#[test]
fn transactions_of_2_x_carry_meter_values() {
    for version in ["2.0.1", "2.1"] {
        let mut event = json!({
            "eventType": "Updated", "timestamp": TIME, "triggerReason": "MeterValuePeriodic", "seqNo": 4,
            "transactionInfo": {"transactionId": "t-1", "chargingState": "Charging"},
            "evse": {"id": 3, "connectorId": 1},
            "meterValue": [{"timestamp": TIME, "sampledValue": [sampled(version, IMPORT, "7", "kW", &Value::Null)]}],
        });
        check(version, "TransactionEvent", &event);
        let read = transaction::v2(&event).unwrap();
        assert_eq!(
            (read.transaction_id.as_str(), read.connector),
            ("t-1", Some(3))
        );
        assert_eq!(read.progress, transaction::Progress::Updated);
        assert_eq!(read.status, Some(ConnectorStatus::Charging));
        let power = read.reading.unwrap().active_power.unwrap();
        assert_eq!(
            (power.value, power.sampled_at),
            (Power::from_watts(7_000), at(0))
        );
        for (state, status) in [
            ("EVConnected", ConnectorStatus::Plugged),
            ("SuspendedEV", ConnectorStatus::Plugged),
            ("SuspendedEVSE", ConnectorStatus::Plugged),
            ("Idle", ConnectorStatus::Free),
        ] {
            event["transactionInfo"]["chargingState"] = json!(state);
            check(version, "TransactionEvent", &event);
            assert_eq!(transaction::v2(&event).unwrap().status, Some(status));
        }
        event["transactionInfo"]["chargingState"] = json!("Asleep");
        assert_eq!(
            transaction::v2(&event).unwrap_err().field,
            "transactionInfo.chargingState"
        );
    }
}

proptest! {
    /// Whatever is sampled, power is what import less export is, or absent.
    #[test]
    fn any_pair_of_numbers(import in -1e7f64..1e7, export in -1e7f64..1e7) {
        let none = Value::Null;
        let (import_text, export_text) = (import.to_string(), export.to_string());
        let read = power(&[(IMPORT, &import_text, "W", none.clone()), (EXPORT, &export_text, "W", none)]);
        if import < 0.0 || export < 0.0 {
            let negative = matches!(read, Err(Absent::Negative { .. }));
            prop_assert!(negative);
        } else {
            #[allow(clippy::cast_precision_loss)]
            let watts = read.unwrap() as f64;
            prop_assert!((watts - (import - export)).abs() <= 0.5 + 1e-6);
        }
    }

    /// No text makes it panic, and what it takes is a number.
    #[test]
    fn any_text(text in ".{0,12}") {
        let sample = json!({"measurand": IMPORT, "value": text, "unit": "kW"});
        let reading = read("1.6", &message("1.6", &[(TIME, vec![sample])]));
        prop_assert_eq!(
            reading.active_power.is_ok(),
            text.trim().parse::<f64>().is_ok_and(|value| (0.0..=1e8).contains(&value)),
            "{:?}", text
        );
    }
}
