//! Status of OCPP and T/CEC 102, and answers.

use serde_json::{Value, json};
use vpp_aggregator::protocol::tcec::{self, ConnectorState};
use vpp_aggregator::protocol::{Answer, ConnectorStatus, StatusReport, answer, status};
use vpp_core::Power;

use crate::common::{at, kw};
use crate::schemas::check;

const ALL: [ConnectorStatus; 6] = [
    ConnectorStatus::Offline,
    ConnectorStatus::Free,
    ConnectorStatus::Plugged,
    ConnectorStatus::Charging,
    ConnectorStatus::Reserved,
    ConnectorStatus::Fault,
];

fn old(status: &str, more: &Value) -> StatusReport {
    let mut payload = json!({"connectorId": 1, "errorCode": "NoError", "status": status});
    for (name, value) in more.as_object().into_iter().flatten() {
        payload[name] = value.clone();
    }
    check("1.6", "StatusNotification", &payload);
    status::v16(&payload).unwrap()
}

fn new(status: &str) -> StatusReport {
    let payload = json!({
        "timestamp": "2025-07-15T08:00:00Z", "connectorStatus": status, "evseId": 1, "connectorId": 1,
    });
    for version in ["2.0.1", "2.1"] {
        check(version, "StatusNotification", &payload);
    }
    status::v2(&payload).unwrap()
}

/// The names come from the schemas, so that none is forgotten.
fn names(file: &str, pointer: &str) -> Vec<String> {
    let path = format!("{}/tests/ocpp-schemas/{file}", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(schema.pointer(pointer).unwrap().clone()).unwrap()
}

#[test]
fn every_status_has_its_meaning() {
    for name in names("1.6/StatusNotification.json", "/properties/status/enum") {
        old(&name, &Value::Null);
    }
    for version in ["2.0.1", "2.1"] {
        let file = format!("{version}/StatusNotificationRequest.json");
        for name in names(&file, "/definitions/ConnectorStatusEnumType/enum") {
            new(&name);
        }
    }
    for status in ALL {
        assert_eq!(old(status.as_v16(), &Value::Null).status, status);
        let back = new(status.as_v2()).status;
        match status {
            ConnectorStatus::Charging => {
                assert_eq!(back, ConnectorStatus::Plugged);
                assert_eq!(back.with_power(kw(-3)), ConnectorStatus::Charging);
            }
            status => assert_eq!(back, status),
        }
        assert_eq!(status.with_power(Power::ZERO), status);
    }
    assert_eq!(
        old("SuspendedEVSE", &Value::Null).status,
        ConnectorStatus::Plugged
    );
}

#[test]
fn reports_say_why_a_pile_does_not_follow() {
    let more = json!({"errorCode": "GroundFailure", "info": "relay", "vendorErrorCode": "E12",
        "timestamp": "2025-07-15T08:00:00Z"});
    let report = old("Faulted", &more);
    assert_eq!(report.reported_at, Some(at(0)));
    assert_eq!(
        report.refusal().unwrap(),
        "pile 1: fault: GroundFailure, E12, relay"
    );
    let report = old("Unavailable", &json!({"connectorId": 0}));
    assert_eq!(report.refusal().unwrap(), "station: out of service");
    // A warning is no refusal.
    let report = old("Charging", &json!({"errorCode": "HighTemperature"}));
    assert_eq!(
        (report.refusal(), report.detail.as_str()),
        (None, "HighTemperature")
    );
    assert_eq!(new("Faulted").refusal().unwrap(), "pile 1: fault");
    for status in [
        ConnectorStatus::Free,
        ConnectorStatus::Plugged,
        ConnectorStatus::Reserved,
    ] {
        assert_eq!(old(status.as_v16(), &Value::Null).refusal(), None);
    }
}

#[test]
fn names_of_no_version_are_refused() {
    let payload = json!({"connectorId": 1, "errorCode": "NoError", "status": "Occupied"});
    let refused = status::v16(&payload).unwrap_err();
    assert_eq!(refused.to_string(), "status: Occupied is unknown");
    let payload = json!({
        "timestamp": "2025-07-15T08:00:00Z", "connectorStatus": "available", "evseId": 1, "connectorId": 1,
    });
    assert_eq!(status::v2(&payload).unwrap_err().field, "connectorStatus");
    assert_eq!(
        status::v16(&json!({"connectorId": -1})).unwrap_err().field,
        "connectorId"
    );
}

#[test]
fn codes_of_tcec_102() {
    let codes = [0, 1, 2, 3, 4, 255];
    for (status, expected) in ALL.into_iter().zip(codes) {
        assert_eq!(tcec::code(status), expected);
        let state = ConnectorState {
            connector_id: "3702120001001".into(),
            status,
        };
        let data = tcec::notification(&state);
        assert_eq!(
            data,
            json!({"ConnectorStatusInfo": {"ConnectorID": "3702120001001", "Status": expected}})
        );
        assert_eq!(tcec::read_notification(&data).unwrap(), state);
    }
    // With the parking space's fields, which are not of interest.
    let data = json!({"ConnectorStatusInfo":
        {"ConnectorID": "3702120001001", "Status": 3, "ParkStatus": 50, "LockStatus": 0}});
    assert_eq!(
        tcec::read_notification(&data).unwrap().status,
        ConnectorStatus::Charging
    );
    for code in (-2..300).filter(|code| ![0, 1, 2, 3, 4, 255].contains(code)) {
        assert_eq!(tcec::status(code).unwrap_err().field, "Status", "{code}");
    }
    let refused = |info: Value| {
        let data = json!({"ConnectorStatusInfo": info});
        tcec::read_notification(&data).unwrap_err().to_string()
    };
    assert_eq!(
        refused(json!({"ConnectorID": "a", "Status": 5})),
        "ConnectorStatusInfo.Status: 5 is unknown"
    );
    assert_eq!(
        refused(json!({"ConnectorID": "", "Status": 1})),
        "ConnectorStatusInfo.ConnectorID: is empty"
    );
    assert!(refused(json!({"ConnectorID": "a"})).starts_with("ConnectorStatusInfo: missing field"));
    assert!(
        refused(json!({"ConnectorID": "a", "Status": "1"}))
            .starts_with("ConnectorStatusInfo.Status: ")
    );
}

/// Messages of the form that published examples have; the names are our own. From `ac1982/tcec-ev-charging-java` (commit fa36e06,
/// `endpoint-examples.json`) and `yzqaq/cecJsonVerify` (commits 1326bc8 and aaeb639, `json/` and `schema/`); neither says under which
/// licence it stands, so nothing is copied but which fields there are and of what kind.
#[test]
fn tcec_102_as_published_implementations_send_it() {
    let state = |connector: &str, status| ConnectorState {
        connector_id: connector.into(),
        status,
    };
    // Every field there is, and fields that are null.
    for info in [
        json!({"ConnectorID": "GZ01_1", "Status": 3, "ParkStatus": 10, "LockStatus": 50}),
        json!({"ConnectorID": "GZ01_1", "Status": 3, "ParkStatus": null, "LockStatus": null, "AuxPower": null}),
    ] {
        let one = json!({ "ConnectorStatusInfo": info });
        let expected = state("GZ01_1", ConnectorStatus::Charging);
        assert_eq!(tcec::read_notification(&one).unwrap(), expected);
        // A list, under either name.
        for name in ["ConnectorStatusInfo", "ConnectorStatusInfos"] {
            let list = json!({ name: [info, {"ConnectorID": "GZ01_2", "Status": 1}] });
            let states = tcec::read_notifications(&list).unwrap();
            let free = state("GZ01_2", ConnectorStatus::Free);
            assert_eq!(states, [expected.clone(), free]);
            let bad = json!({ name: [info, {"ConnectorID": "GZ01_2", "Status": 5}] });
            let refused = tcec::read_notifications(&bad).unwrap_err().to_string();
            assert_eq!(refused, format!("{name}[1].Status: 5 is unknown"));
        }
        assert_eq!(tcec::read_notifications(&one).unwrap(), [expected]);
    }
    assert_eq!(
        tcec::read_notification(&json!({})).unwrap_err().field,
        "ConnectorStatusInfo"
    );
}

#[test]
fn the_status_of_stations_is_asked_for_and_told() {
    let query = json!({"StationIDs": ["GZ01", "GZ02"]});
    let ids = ["GZ01".to_owned(), "GZ02".to_owned()];
    assert_eq!(tcec::station_query(&ids).unwrap(), query);
    assert_eq!(tcec::read_station_query(&query).unwrap(), ids);
    for count in [0, 51] {
        let many = vec!["GZ01".to_owned(); count];
        let refused = tcec::station_query(&many).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("StationIDs: {count} stations, outside 1 to 50")
        );
        assert!(tcec::read_station_query(&json!({ "StationIDs": many })).is_err());
    }
    // As published: Total is a text or a number, right or not; a station may have a longer name beside; a code of its maker's.
    let answer = json!({
        "Total": "1",
        "StationStatusInfos": [
            {
                "FullStationID": "123456789GZ01",
                "StationID": "GZ01",
                "ConnectorStatusInfos": [
                    {"ConnectorID": "GZ01_1", "Status": 2},
                    {"ConnectorID": "GZ01_2", "Status": 5},
                    {"ConnectorID": "GZ01_3", "Status": 255, "ParkStatus": 10, "LockStatus": 50},
                    {"Status": 1}
                ]
            },
            { "StationID": "GZ02", "ConnectorStatusInfos": [] }
        ]
    });
    let states = tcec::read_station_states(&answer).unwrap();
    let refused: Vec<String> = states.refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        refused[0],
        "StationStatusInfos[0].ConnectorStatusInfos[1].Status: 5 is unknown"
    );
    let missing = "StationStatusInfos[0].ConnectorStatusInfos[3]: missing field `ConnectorID`";
    assert!(
        refused[1].starts_with(missing) && refused.len() == 2,
        "{refused:?}"
    );
    let connectors = [
        ("GZ01_1", ConnectorStatus::Plugged),
        ("GZ01_3", ConnectorStatus::Fault),
    ];
    let connectors = connectors.map(|(connector_id, status)| ConnectorState {
        connector_id: connector_id.into(),
        status,
    });
    assert_eq!(states.stations[0].connectors, connectors);
    assert_eq!(states.stations.len(), 2);
    // What is told is read again.
    let told = tcec::station_states(&states.stations);
    assert_eq!(told["Total"], 2);
    assert_eq!(
        tcec::read_station_states(&told).unwrap().stations,
        states.stations
    );
    let broken = json!({"StationStatusInfos": [{"StationID": 1, "ConnectorStatusInfos": []}]});
    let refused = tcec::read_station_states(&broken).unwrap_err();
    assert_eq!(refused.field, "StationStatusInfos[0].StationID");
}

#[test]
fn answers() {
    let old = |status: &str| {
        let payload = json!({"status": status});
        check("1.6", "SetChargingProfileResponse", &payload);
        answer::v16(&payload).unwrap()
    };
    assert_eq!(old("Accepted").refusal(), None);
    assert_eq!(
        old("Rejected").refusal().unwrap(),
        "charging profile rejected"
    );
    assert_eq!(
        old("NotSupported").refusal().unwrap(),
        "charging profiles not supported"
    );
    let rejected = json!({"status": "Rejected",
        "statusInfo": {"reasonCode": "InvalidSchedule", "additionalInfo": "no phases here"}});
    for version in ["2.0.1", "2.1"] {
        check(version, "SetChargingProfileResponse", &rejected);
    }
    let refusal = answer::v2(&rejected).unwrap().refusal().unwrap();
    assert_eq!(
        refusal,
        "charging profile rejected: InvalidSchedule: no phases here"
    );
    assert_eq!(
        answer::v2(&json!({"status": "Accepted"})).unwrap(),
        Answer::Accepted
    );
    assert_eq!(
        answer::v2(&json!({"status": "NotSupported"}))
            .unwrap_err()
            .field,
        "status"
    );
    assert_eq!(
        answer::v16(&json!({"status": "accepted"}))
            .unwrap_err()
            .field,
        "status"
    );
    let error = Answer::from_call_error("NotImplemented", "");
    assert_eq!(
        error.refusal().unwrap(),
        "charging profiles not supported: NotImplemented"
    );
    let error = Answer::from_call_error("InternalError", "try later");
    assert_eq!(
        error.refusal().unwrap(),
        "charging profile rejected: InternalError: try later"
    );
}
