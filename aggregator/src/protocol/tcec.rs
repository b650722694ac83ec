//! T/CEC 102 (exchange of charging and swapping service information between operators' platforms): connector status.
//!
//! The standard's text was not at hand. What is used here, and from where:
//!
//! | what | source |
//! | --- | --- |
//! | `notification_stationStatus` carries one `ConnectorStatusInfo`, an object with `ConnectorID` and `Status`; the answer is `Status`, 0 for taken | several public implementations of operators' and cities' platforms agree |
//! | status 0 off the network, 1 free, 2 occupied without charging, 3 occupied and charging, 4 occupied, kept by a reservation, 255 fault | the same, word for word |
//! | `ParkStatus` (0 unknown, 10 free, 50 occupied), `LockStatus` (0 unknown, 10 open, 50 locked): optional, of the parking space, not used here | the same |
//! | `query_station_status` asks for `StationIDs`, 50 at most, and is answered with `Total` and `StationStatusInfos`, each `StationID` and `ConnectorStatusInfos` | endpoints and examples of `ac1982/tcec-ev-charging-java`, made after an operator's published contract 1.4.0; a sample of `yzqaq/cecJsonVerify` |
//! | further codes (5 for a charge that is complete, five-digit ones of makers) | seen in single platforms, 5 in that sample, which its own schema refuses: not of the standard as far as known, refused one by one |
//! | where implementations differ | a schema of `yzqaq/cecJsonVerify` and a platform's test send a list in a notification, the first under `ConnectorStatusInfos`, while all others send one object; fields that are not known are left out, or null; `Total` is a number or a text, and in one sample not the number of stations. Read alike here, but for names in lower camel case, which one platform sends |
//! | that part 2 of 2016 and the edition of 2021 have the same codes | unverified |
//! | that a pile which discharges is 3 too | unverified; one platform with vehicle-to-grid calls 3 "charging or discharging" |
//!
//! The envelope of an exchange (operator, encrypted data, time, sequence, signature: part 4) is not done here.

use serde::Deserialize;
use serde_json::{Value, json};
use vpp_core::Invalid;

use super::status::ConnectorStatus;
use super::wire::read;

/// The code of a status.
#[must_use]
pub const fn code(status: ConnectorStatus) -> u8 {
    match status {
        ConnectorStatus::Offline => 0,
        ConnectorStatus::Free => 1,
        ConnectorStatus::Plugged => 2,
        ConnectorStatus::Charging => 3,
        ConnectorStatus::Reserved => 4,
        ConnectorStatus::Fault => 255,
    }
}

/// The status of a code.
///
/// # Errors
/// When the standard, as far as known, has no such code.
pub fn status(code: i64) -> Result<ConnectorStatus, Invalid> {
    match code {
        0 => Ok(ConnectorStatus::Offline),
        1 => Ok(ConnectorStatus::Free),
        2 => Ok(ConnectorStatus::Plugged),
        3 => Ok(ConnectorStatus::Charging),
        4 => Ok(ConnectorStatus::Reserved),
        255 => Ok(ConnectorStatus::Fault),
        other => Err(Invalid::unknown("Status", other)),
    }
}

/// One connector of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorState {
    /// Its name, unique within the operator.
    pub connector_id: String,
    /// Its status.
    pub status: ConnectorStatus,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "ConnectorID")]
    connector_id: String,
    #[serde(rename = "Status")]
    status: i64,
}

impl Info {
    fn state(data: &Value) -> Result<ConnectorState, Invalid> {
        let info: Info = read(data)?;
        if info.connector_id.is_empty() {
            return Err(Invalid::new("ConnectorID", "is empty"));
        }
        Ok(ConnectorState {
            status: status(info.status)?,
            connector_id: info.connector_id,
        })
    }
}

/// The data of `notification_stationStatus`, as it comes.
///
/// # Errors
/// When the data has not the form of the message, the connector has no name, or the status has no meaning.
pub fn read_notification(data: &Value) -> Result<ConnectorState, Invalid> {
    const INFO: &str = "ConnectorStatusInfo";
    let info = data
        .get(INFO)
        .ok_or_else(|| Invalid::new(INFO, "is missing"))?;
    Info::state(info).map_err(|invalid| placed(invalid, INFO))
}

/// The same from platforms of which some send a list, under its own name or that of one.
///
/// # Errors
/// As [`read_notification`], for the first connector that is wrong.
pub fn read_notifications(data: &Value) -> Result<Vec<ConnectorState>, Invalid> {
    for name in ["ConnectorStatusInfo", "ConnectorStatusInfos"] {
        if let Some(infos) = data.get(name).and_then(Value::as_array) {
            return infos
                .iter()
                .enumerate()
                .map(|(at, info)| {
                    Info::state(info).map_err(|invalid| placed(invalid, &format!("{name}[{at}]")))
                })
                .collect();
        }
    }
    read_notification(data).map(|state| vec![state])
}

/// The data of `notification_stationStatus`, to be sent.
#[must_use]
pub fn notification(state: &ConnectorState) -> Value {
    json!({ "ConnectorStatusInfo": info(state) })
}

fn info(state: &ConnectorState) -> Value {
    json!({
        "ConnectorID": state.connector_id,
        "Status": code(state.status),
    })
}

/// The most stations of a query.
pub const MOST_STATIONS: usize = 50;

/// A station of a platform with its connectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationState {
    /// Its name, unique within the operator.
    pub station_id: String,
    /// Its connectors.
    pub connectors: Vec<ConnectorState>,
}

/// What a platform answers to `query_station_status`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StationStates {
    /// The stations, with the connectors whose status has a meaning.
    pub stations: Vec<StationState>,
    /// What is wrong with the others: one connector does not take its station along.
    pub refused: Vec<Invalid>,
}

/// The data of `query_station_status`, to be sent.
///
/// # Errors
/// When no station is asked for, or more than [`MOST_STATIONS`].
pub fn station_query(stations: &[String]) -> Result<Value, Invalid> {
    check_count(stations.len())?;
    Ok(json!({ "StationIDs": stations }))
}

/// The stations that `query_station_status` asks for.
///
/// # Errors
/// When the data has not the form of the message, or asks for none or too many.
pub fn read_station_query(data: &Value) -> Result<Vec<String>, Invalid> {
    #[derive(Deserialize)]
    struct Query {
        #[serde(rename = "StationIDs")]
        stations: Vec<String>,
    }
    let Query { stations } = read(data)?;
    check_count(stations.len())?;
    Ok(stations)
}

fn check_count(stations: usize) -> Result<(), Invalid> {
    match stations {
        1..=MOST_STATIONS => Ok(()),
        others => {
            let problem = format!("{others} stations, outside 1 to {MOST_STATIONS}");
            Err(Invalid::new("StationIDs", problem))
        }
    }
}

/// The answer to `query_station_status`, to be sent.
#[must_use]
pub fn station_states(stations: &[StationState]) -> Value {
    let station = |station: &StationState| {
        json!({
            "StationID": station.station_id,
            "ConnectorStatusInfos": station.connectors.iter().map(info).collect::<Vec<_>>(),
        })
    };
    json!({
        "Total": stations.len(),
        "StationStatusInfos": stations.iter().map(station).collect::<Vec<_>>(),
    })
}

/// The answer to `query_station_status`, as it comes.
///
/// # Errors
/// When the data has not the form of the message. A connector that has none, no name, or a status without a meaning is refused by
/// itself.
pub fn read_station_states(data: &Value) -> Result<StationStates, Invalid> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "StationStatusInfos")]
        stations: Vec<Station>,
    }
    #[derive(Deserialize)]
    struct Station {
        #[serde(rename = "StationID")]
        station_id: String,
        #[serde(rename = "ConnectorStatusInfos")]
        connectors: Vec<Value>,
    }
    let answer: Answer = read(data)?;
    let mut states = StationStates::default();
    for (at, station) in answer.stations.into_iter().enumerate() {
        let mut connectors = Vec::new();
        for (place, info) in station.connectors.iter().enumerate() {
            match Info::state(info) {
                Ok(state) => connectors.push(state),
                Err(invalid) => {
                    let path = format!("StationStatusInfos[{at}].ConnectorStatusInfos[{place}]");
                    states.refused.push(placed(invalid, &path));
                }
            }
        }
        states.stations.push(StationState {
            station_id: station.station_id,
            connectors,
        });
    }
    Ok(states)
}

/// With the place in the message; what is wrong with an object as a whole has no field of its own.
fn placed(invalid: Invalid, path: &str) -> Invalid {
    match invalid.field.as_str() {
        "" | "." => Invalid {
            field: path.to_owned(),
            ..invalid
        },
        _ => invalid.within(path),
    }
}
