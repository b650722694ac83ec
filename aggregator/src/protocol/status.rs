//! Connector status: one inner type, from and to what OCPP and T/CEC 102 call it.

use serde::Deserialize;
use serde_json::Value;
use vpp_core::{Invalid, Power, Timestamp};

use super::wire::read;

/// Who is at a pile, and whether it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectorStatus {
    /// Out of service, or nobody reaches it.
    Offline,
    /// Nobody is there.
    Free,
    /// A vehicle is plugged in, or about to be, and does not charge.
    Plugged,
    /// A vehicle charges or discharges.
    Charging,
    /// Kept for somebody.
    Reserved,
    /// Does not work.
    Fault,
}

impl ConnectorStatus {
    /// From `status` of OCPP 1.6.
    #[must_use]
    pub fn from_v16(status: &str) -> Option<ConnectorStatus> {
        Some(match status {
            "Available" => ConnectorStatus::Free,
            "Preparing" | "SuspendedEVSE" | "SuspendedEV" | "Finishing" => ConnectorStatus::Plugged,
            "Charging" => ConnectorStatus::Charging,
            "Reserved" => ConnectorStatus::Reserved,
            "Unavailable" => ConnectorStatus::Offline,
            "Faulted" => ConnectorStatus::Fault,
            _ => return None,
        })
    }

    /// `status` of OCPP 1.6. Plugged is `Preparing`, the only one of its four that needs no transaction.
    #[must_use]
    pub const fn as_v16(self) -> &'static str {
        match self {
            ConnectorStatus::Offline => "Unavailable",
            ConnectorStatus::Free => "Available",
            ConnectorStatus::Plugged => "Preparing",
            ConnectorStatus::Charging => "Charging",
            ConnectorStatus::Reserved => "Reserved",
            ConnectorStatus::Fault => "Faulted",
        }
    }

    /// From `connectorStatus` of OCPP 2.x, which does not say whether an occupied connector charges: that is in the
    /// transaction ([`TransactionEvent`](super::TransactionEvent)) or the power ([`ConnectorStatus::with_power`]).
    #[must_use]
    pub fn from_v2(status: &str) -> Option<ConnectorStatus> {
        Some(match status {
            "Available" => ConnectorStatus::Free,
            "Occupied" => ConnectorStatus::Plugged,
            "Reserved" => ConnectorStatus::Reserved,
            "Unavailable" => ConnectorStatus::Offline,
            "Faulted" => ConnectorStatus::Fault,
            _ => return None,
        })
    }

    /// `connectorStatus` of OCPP 2.x. Plugged and charging are both `Occupied`.
    #[must_use]
    pub const fn as_v2(self) -> &'static str {
        match self {
            ConnectorStatus::Offline => "Unavailable",
            ConnectorStatus::Free => "Available",
            ConnectorStatus::Plugged | ConnectorStatus::Charging => "Occupied",
            ConnectorStatus::Reserved => "Reserved",
            ConnectorStatus::Fault => "Faulted",
        }
    }

    /// A plugged one with power in either direction charges.
    #[must_use]
    pub fn with_power(self, power: Power) -> ConnectorStatus {
        match self {
            ConnectorStatus::Plugged if power != Power::ZERO => ConnectorStatus::Charging,
            other => other,
        }
    }
}

/// A status that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// `connectorId` of OCPP 1.6, `evseId` of 2.x; 0 is the whole station.
    pub connector: u32,
    /// The status.
    pub status: ConnectorStatus,
    /// Error code and texts of OCPP 1.6, empty without an error. 2.x tells causes in other messages.
    pub detail: String,
    /// When it was so, by the pile's clock; OCPP 1.6 may leave it away.
    pub reported_at: Option<Timestamp>,
}

impl StatusReport {
    /// Why the connector, or with number 0 the station, would not follow a setpoint: for
    /// [`Sites::refusal`](crate::Sites::refusal).
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let what = match self.status {
            ConnectorStatus::Offline => "out of service",
            ConnectorStatus::Fault => "fault",
            ConnectorStatus::Free
            | ConnectorStatus::Plugged
            | ConnectorStatus::Charging
            | ConnectorStatus::Reserved => return None,
        };
        let whose = match self.connector {
            0 => "station".to_owned(),
            connector => format!("pile {connector}"),
        };
        let colon = if self.detail.is_empty() { "" } else { ": " };
        Some(format!("{whose}: {what}{colon}{}", self.detail))
    }
}

/// `StatusNotification.req` of OCPP 1.6.
///
/// # Errors
/// When the payload has not the form of the message, or the status is none of the version's.
pub fn v16(payload: &Value) -> Result<StatusReport, Invalid> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        connector_id: u32,
        error_code: String,
        status: String,
        info: Option<String>,
        vendor_error_code: Option<String>,
        timestamp: Option<Timestamp>,
    }
    let message: Message = read(payload)?;
    let status = ConnectorStatus::from_v16(&message.status)
        .ok_or_else(|| Invalid::unknown("status", &message.status))?;
    let code = (message.error_code != "NoError").then_some(message.error_code);
    let texts = [code, message.vendor_error_code, message.info];
    let texts = texts.into_iter().flatten().filter(|text| !text.is_empty());
    Ok(StatusReport {
        connector: message.connector_id,
        status,
        detail: texts.collect::<Vec<_>>().join(", "),
        reported_at: message.timestamp,
    })
}

/// `StatusNotificationRequest` of OCPP 2.0.1 and 2.1. An EVSE with several connectors is reported by its own number.
///
/// # Errors
/// When the payload has not the form of the message, or the status is none of the version's.
pub fn v2(payload: &Value) -> Result<StatusReport, Invalid> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        timestamp: Timestamp,
        connector_status: String,
        evse_id: u32,
    }
    let message: Message = read(payload)?;
    let status = ConnectorStatus::from_v2(&message.connector_status)
        .ok_or_else(|| Invalid::unknown("connectorStatus", &message.connector_status))?;
    Ok(StatusReport {
        connector: message.evse_id,
        status,
        detail: String::new(),
        reported_at: Some(message.timestamp),
    })
}
