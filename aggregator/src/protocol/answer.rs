//! What a pile answers to `SetChargingProfile`.

use serde::Deserialize;
use serde_json::Value;
use vpp_core::Invalid;

use super::wire::read;

/// An answer. Accepted means that the profile was taken, not that the vehicle follows it: that is for the meter to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The profile is in force.
    Accepted,
    /// It is not; what was in force still is.
    Rejected {
        /// The station's reason, empty where it has none to give, as in OCPP 1.6.
        reason: String,
    },
    /// The pile knows no charging profiles: it never follows.
    NotSupported {
        /// The station's reason, empty where it has none to give.
        reason: String,
    },
}

impl Answer {
    /// From an error in place of an answer (a `CALLERROR` frame).
    #[must_use]
    pub fn from_call_error(code: &str, description: &str) -> Answer {
        let separator = if description.is_empty() { "" } else { ": " };
        let reason = format!("{code}{separator}{description}");
        match code {
            "NotSupported" | "NotImplemented" => Answer::NotSupported { reason },
            _ => Answer::Rejected { reason },
        }
    }

    /// Why the pile does not follow, for [`Sites::refusal`](crate::Sites::refusal).
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let (what, reason) = match self {
            Answer::Accepted => return None,
            Answer::Rejected { reason } => ("charging profile rejected", reason),
            Answer::NotSupported { reason } => ("charging profiles not supported", reason),
        };
        let separator = if reason.is_empty() { "" } else { ": " };
        Some(format!("{what}{separator}{reason}"))
    }
}

/// `SetChargingProfile.conf` of OCPP 1.6.
///
/// # Errors
/// When the payload has not the form of the message, or the status is none of the version's.
pub fn v16(payload: &Value) -> Result<Answer, Invalid> {
    #[derive(Deserialize)]
    struct Message {
        status: String,
    }
    let Message { status } = read(payload)?;
    let reason = String::new();
    match status.as_str() {
        "Accepted" => Ok(Answer::Accepted),
        "Rejected" => Ok(Answer::Rejected { reason }),
        "NotSupported" => Ok(Answer::NotSupported { reason }),
        _ => Err(Invalid::unknown("status", status)),
    }
}

/// `SetChargingProfileResponse` of OCPP 2.0.1 and 2.1. What 1.6 calls not supported comes as an error there.
///
/// # Errors
/// When the payload has not the form of the message, or the status is none of the version's.
pub fn v2(payload: &Value) -> Result<Answer, Invalid> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        status: String,
        status_info: Option<StatusInfo>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct StatusInfo {
        reason_code: String,
        additional_info: Option<String>,
    }
    let message: Message = read(payload)?;
    match message.status.as_str() {
        "Accepted" => Ok(Answer::Accepted),
        "Rejected" => {
            let reason = message.status_info.map_or_else(String::new, |info| {
                match info.additional_info.filter(|more| !more.is_empty()) {
                    Some(more) => format!("{}: {more}", info.reason_code),
                    None => info.reason_code,
                }
            });
            Ok(Answer::Rejected { reason })
        }
        other => Err(Invalid::unknown("status", other)),
    }
}
