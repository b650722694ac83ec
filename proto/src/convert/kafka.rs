//! Telemetry, commands, acknowledgements.

use vpp_core::{
    Acknowledgement, AcknowledgementStatus, AggregatorId, Command, Decision, Energy, Invalid,
    Power, SequenceNumber, Session, StationId, Telemetry, command::Reason,
};

use super::scalar::{from_timestamp, to_timestamp};
use crate::{SCHEMA_VERSION, v1};

fn check_version(version: u32) -> Result<(), Invalid> {
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    Err(Invalid::new(
        "schema_version",
        format!("{version} is not {SCHEMA_VERSION}"),
    ))
}

impl TryFrom<v1::Telemetry> for Telemetry {
    type Error = Invalid;
    fn try_from(wire: v1::Telemetry) -> Result<Telemetry, Invalid> {
        check_version(wire.schema_version)?;
        let mut sessions = Vec::with_capacity(wire.sessions.len().min(Telemetry::MAX_SESSIONS));
        for (position, session) in wire.sessions.into_iter().enumerate() {
            let session = Session::try_from(session)
                .map_err(|invalid| invalid.within(&format!("sessions[{position}]")))?;
            sessions.push(session);
        }
        let telemetry = Telemetry {
            station: StationId::new(wire.station_id)?,
            sampled_at: to_timestamp("sample_time", wire.sample_time.as_ref())?,
            active_power: Power::from_kilowatts("active_power_kw", wire.active_power_kw)?,
            sessions,
            command_in_force: wire.command_in_force.map(SequenceNumber::from),
        };
        telemetry.check()?;
        Ok(telemetry)
    }
}

impl From<&Telemetry> for v1::Telemetry {
    fn from(telemetry: &Telemetry) -> v1::Telemetry {
        v1::Telemetry {
            schema_version: SCHEMA_VERSION,
            station_id: telemetry.station.to_string(),
            sample_time: Some(from_timestamp(telemetry.sampled_at)),
            active_power_kw: telemetry.active_power.as_kilowatts(),
            sessions: telemetry.sessions.iter().map(v1::Session::from).collect(),
            command_in_force: telemetry.command_in_force.map(v1::SequenceNumber::from),
        }
    }
}

impl TryFrom<v1::Session> for Session {
    type Error = Invalid;
    fn try_from(wire: v1::Session) -> Result<Session, Invalid> {
        Ok(Session {
            departure: to_timestamp("departure_time", wire.departure_time.as_ref())?,
            energy_needed: Energy::from_kilowatt_hours(
                "energy_needed_kwh",
                wire.energy_needed_kwh,
            )?,
            energy_room: Energy::from_kilowatt_hours("energy_room_kwh", wire.energy_room_kwh)?,
            energy_available: Energy::from_kilowatt_hours(
                "energy_available_kwh",
                wire.energy_available_kwh,
            )?,
            max_charge: Power::from_kilowatts("max_charge_kw", wire.max_charge_kw)?,
            max_discharge: Power::from_kilowatts("max_discharge_kw", wire.max_discharge_kw)?,
        })
    }
}

impl From<&Session> for v1::Session {
    fn from(session: &Session) -> v1::Session {
        v1::Session {
            departure_time: Some(from_timestamp(session.departure)),
            energy_needed_kwh: session.energy_needed.as_kilowatt_hours(),
            energy_room_kwh: session.energy_room.as_kilowatt_hours(),
            energy_available_kwh: session.energy_available.as_kilowatt_hours(),
            max_charge_kw: session.max_charge.as_kilowatts(),
            max_discharge_kw: session.max_discharge.as_kilowatts(),
        }
    }
}

impl From<v1::SequenceNumber> for SequenceNumber {
    fn from(wire: v1::SequenceNumber) -> SequenceNumber {
        SequenceNumber {
            epoch: wire.epoch,
            number: wire.number,
        }
    }
}

impl From<SequenceNumber> for v1::SequenceNumber {
    fn from(sequence: SequenceNumber) -> v1::SequenceNumber {
        v1::SequenceNumber {
            epoch: sequence.epoch,
            number: sequence.number,
        }
    }
}

impl From<Decision> for v1::Decision {
    fn from(decision: Decision) -> v1::Decision {
        match decision {
            Decision::Optimal => v1::Decision::Optimal,
            Decision::Incumbent => v1::Decision::Incumbent,
            Decision::Fallback => v1::Decision::Fallback,
            Decision::Hold => v1::Decision::Hold,
        }
    }
}

impl TryFrom<v1::Decision> for Decision {
    type Error = Invalid;
    fn try_from(wire: v1::Decision) -> Result<Decision, Invalid> {
        match wire {
            v1::Decision::Optimal => Ok(Decision::Optimal),
            v1::Decision::Incumbent => Ok(Decision::Incumbent),
            v1::Decision::Fallback => Ok(Decision::Fallback),
            v1::Decision::Hold => Ok(Decision::Hold),
            v1::Decision::Unspecified => Err(Invalid::new("decision", "is missing or unknown")),
        }
    }
}

impl From<Reason> for v1::Reason {
    fn from(reason: Reason) -> v1::Reason {
        match reason {
            Reason::Event => v1::Reason::Event,
            Reason::Regulation => v1::Reason::Regulation,
            Reason::Limit => v1::Reason::Limit,
            Reason::Renewal => v1::Reason::Renewal,
            Reason::Orderly => v1::Reason::Orderly,
            Reason::Release => v1::Reason::Release,
        }
    }
}

impl TryFrom<v1::Reason> for Reason {
    type Error = Invalid;
    fn try_from(wire: v1::Reason) -> Result<Reason, Invalid> {
        match wire {
            v1::Reason::Event => Ok(Reason::Event),
            v1::Reason::Regulation => Ok(Reason::Regulation),
            v1::Reason::Limit => Ok(Reason::Limit),
            v1::Reason::Renewal => Ok(Reason::Renewal),
            v1::Reason::Orderly => Ok(Reason::Orderly),
            v1::Reason::Release => Ok(Reason::Release),
            v1::Reason::Unspecified => Err(Invalid::new("reason", "is missing or unknown")),
        }
    }
}

impl TryFrom<v1::Command> for Command {
    type Error = Invalid;
    fn try_from(wire: v1::Command) -> Result<Command, Invalid> {
        check_version(wire.schema_version)?;
        let (decision, reason) = (wire.decision(), wire.reason());
        let command = Command {
            station: StationId::new(wire.station_id)?,
            aggregator: AggregatorId::new(wire.aggregator_id)?,
            sequence: wire
                .sequence
                .map(SequenceNumber::from)
                .ok_or_else(|| Invalid::new("sequence", "is missing"))?,
            issued_at: to_timestamp("issue_time", wire.issue_time.as_ref())?,
            valid_until: to_timestamp("expire_time", wire.expire_time.as_ref())?,
            setpoint: Power::from_kilowatts("setpoint_kw", wire.setpoint_kw)?,
            fallback_setpoint: Power::from_kilowatts(
                "fallback_setpoint_kw",
                wire.fallback_setpoint_kw,
            )?,
            decision: decision.try_into()?,
            reason: reason.try_into()?,
            cycle: wire.cycle,
        };
        if command.valid_until <= command.issued_at {
            return Err(Invalid::new("expire_time", "is not after the issue time"));
        }
        if command.fallback_setpoint < Power::ZERO {
            let problem = format!("{} is negative", command.fallback_setpoint);
            return Err(Invalid::new("fallback_setpoint_kw", problem));
        }
        Ok(command)
    }
}

impl From<&Command> for v1::Command {
    fn from(command: &Command) -> v1::Command {
        v1::Command {
            schema_version: SCHEMA_VERSION,
            station_id: command.station.to_string(),
            aggregator_id: command.aggregator.to_string(),
            sequence: Some(command.sequence.into()),
            issue_time: Some(from_timestamp(command.issued_at)),
            expire_time: Some(from_timestamp(command.valid_until)),
            setpoint_kw: command.setpoint.as_kilowatts(),
            fallback_setpoint_kw: command.fallback_setpoint.as_kilowatts(),
            decision: v1::Decision::from(command.decision).into(),
            reason: v1::Reason::from(command.reason).into(),
            cycle: command.cycle,
        }
    }
}

impl TryFrom<v1::Acknowledgement> for Acknowledgement {
    type Error = Invalid;
    fn try_from(wire: v1::Acknowledgement) -> Result<Acknowledgement, Invalid> {
        check_version(wire.schema_version)?;
        let status = match wire.status() {
            v1::AcknowledgementStatus::Accepted => AcknowledgementStatus::Accepted,
            v1::AcknowledgementStatus::Refused => AcknowledgementStatus::Refused,
            v1::AcknowledgementStatus::Expired => AcknowledgementStatus::Expired,
            v1::AcknowledgementStatus::Superseded => AcknowledgementStatus::Superseded,
            v1::AcknowledgementStatus::Unspecified => {
                return Err(Invalid::new(
                    "status",
                    format!("{} is not a status", wire.status),
                ));
            }
        };
        if wire.detail.len() > 256 {
            let problem = format!("has {} bytes, at most 256", wire.detail.len());
            return Err(Invalid::new("detail", problem));
        }
        Ok(Acknowledgement {
            station: StationId::new(wire.station_id)?,
            sequence: wire
                .sequence
                .map(SequenceNumber::from)
                .ok_or_else(|| Invalid::new("sequence", "is missing"))?,
            status,
            detail: wire.detail,
            acknowledged_at: to_timestamp("acknowledge_time", wire.acknowledge_time.as_ref())?,
        })
    }
}

impl From<&Acknowledgement> for v1::Acknowledgement {
    fn from(acknowledgement: &Acknowledgement) -> v1::Acknowledgement {
        let status = match acknowledgement.status {
            AcknowledgementStatus::Accepted => v1::AcknowledgementStatus::Accepted,
            AcknowledgementStatus::Refused => v1::AcknowledgementStatus::Refused,
            AcknowledgementStatus::Expired => v1::AcknowledgementStatus::Expired,
            AcknowledgementStatus::Superseded => v1::AcknowledgementStatus::Superseded,
        };
        v1::Acknowledgement {
            schema_version: SCHEMA_VERSION,
            station_id: acknowledgement.station.to_string(),
            sequence: Some(acknowledgement.sequence.into()),
            status: status.into(),
            detail: acknowledgement.detail.clone(),
            acknowledge_time: Some(from_timestamp(acknowledgement.acknowledged_at)),
        }
    }
}
