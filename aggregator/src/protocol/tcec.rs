//! T/CEC 102 (exchange of charging and swapping service information between operators' platforms): connector status.
//!
//! The standard's text was not at hand. What is used here, and from where:
//!
//! | what | source |
//! | --- | --- |
//! | `notification_stationStatus` carries one `ConnectorStatusInfo`, an object with `ConnectorID` and `Status`; the answer is `Status`, 0 for taken | several public implementations of operators' and cities' platforms agree |
//! | status 0 off the network, 1 free, 2 occupied without charging, 3 occupied and charging, 4 occupied, kept by a reservation, 255 fault | the same, word for word |
//! | `ParkStatus` (0 unknown, 10 free, 50 occupied), `LockStatus` (0 unknown, 10 open, 50 locked): optional, of the parking space, not used here | the same |
//! | further codes (5 for a charge that is complete, five-digit ones of makers) | seen in single platforms: not of the standard as far as known, refused |
//! | that part 2 of 2016 and the edition of 2021 have the same codes | unverified |
//! | that a pile which discharges is 3 too | unverified; one platform with vehicle-to-grid calls 3 "charging or discharging" |
//!
//! The envelope of an exchange (operator, encrypted data, time, sequence, signature: part 4) is not done here.

use serde::Deserialize;
use serde_json::Value;
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
struct Notification {
    #[serde(rename = "ConnectorStatusInfo")]
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    #[serde(rename = "ConnectorID")]
    connector_id: String,
    #[serde(rename = "Status")]
    status: i64,
}

/// The data of `notification_stationStatus`, as it comes.
///
/// # Errors
/// When the data has not the form of the message, the connector has no name, or the status has no meaning.
pub fn read_notification(data: &Value) -> Result<ConnectorState, Invalid> {
    let Notification { info } = read(data)?;
    if info.connector_id.is_empty() {
        return Err(Invalid::new("ConnectorStatusInfo.ConnectorID", "is empty"));
    }
    Ok(ConnectorState {
        status: status(info.status).map_err(|error| error.within("ConnectorStatusInfo"))?,
        connector_id: info.connector_id,
    })
}

/// The data of `notification_stationStatus`, to be sent.
#[must_use]
pub fn notification(state: &ConnectorState) -> Value {
    serde_json::json!({
        "ConnectorStatusInfo": {
            "ConnectorID": state.connector_id,
            "Status": code(state.status),
        }
    })
}
