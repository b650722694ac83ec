//! `TransactionEventRequest` of OCPP 2.x: the identifier that a profile needs, whether the vehicle charges, and the meter
//! values, which 2.x sends here while a transaction runs. In OCPP 1.6 the central system numbers transactions itself.

use serde::Deserialize;
use serde_json::Value;
use vpp_core::{Invalid, Timestamp};

use super::meter::{MeterValue, Reading, Sampled2, reading};
use super::status::ConnectorStatus;
use super::wire::read;

/// Where a transaction is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Progress {
    /// The first message of it.
    Started,
    /// Any in between.
    Updated,
    /// The last one: its profile is gone.
    Ended,
}

/// What happened in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionEvent {
    /// The station's name for it.
    pub transaction_id: String,
    /// The EVSE. Stations say it once and may leave it away then.
    pub connector: Option<u32>,
    /// Where it is in its life.
    pub progress: Progress,
    /// Whether the vehicle charges, where the message says so.
    pub status: Option<ConnectorStatus>,
    /// Meter values, where the message has some. Without EVSE, its number is 0 and means nothing.
    pub reading: Option<Reading>,
    /// When, by the station's clock.
    pub happened_at: Timestamp,
}

/// `TransactionEventRequest` of OCPP 2.0.1 and 2.1.
///
/// # Errors
/// When the payload has not the form of the message, or the charging state is none of the version's.
pub fn v2(payload: &Value) -> Result<TransactionEvent, Invalid> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        event_type: Progress,
        timestamp: Timestamp,
        transaction_info: Info,
        evse: Option<Evse>,
        meter_value: Option<Vec<MeterValue<Sampled2>>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        transaction_id: String,
        charging_state: Option<String>,
    }
    #[derive(Deserialize)]
    struct Evse {
        id: u32,
    }
    let message: Message = read(payload)?;
    let connector = message.evse.map(|evse| evse.id);
    let state = message.transaction_info.charging_state;
    let values = message.meter_value;
    Ok(TransactionEvent {
        transaction_id: message.transaction_info.transaction_id,
        connector,
        progress: message.event_type,
        status: state.map(|state| status(&state)).transpose()?,
        reading: values
            .map(|values| reading(connector.unwrap_or(0), &values))
            .transpose()?,
        happened_at: message.timestamp,
    })
}

fn status(charging_state: &str) -> Result<ConnectorStatus, Invalid> {
    match charging_state {
        "Charging" => Ok(ConnectorStatus::Charging),
        "EVConnected" | "SuspendedEV" | "SuspendedEVSE" => Ok(ConnectorStatus::Plugged),
        "Idle" => Ok(ConnectorStatus::Free),
        other => Err(Invalid::unknown("transactionInfo.chargingState", other)),
    }
}
