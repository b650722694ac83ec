//! A station as the specification describes it, written from its requirements and without the code under test: it takes
//! profiles as JSON, refuses what must be refused, and says what a pile may do at an instant.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use vpp_core::Timestamp;

/// What a pile may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) in_amperes: bool,
    pub(crate) limit: f64,
    pub(crate) setpoint: Option<f64>,
    pub(crate) discharge_limit: Option<f64>,
}

impl Told {
    /// The power that follows, W, for what is in watts; a limit is drawn in full.
    pub(crate) fn watts(self) -> f64 {
        assert!(!self.in_amperes, "{self:?}");
        self.setpoint.unwrap_or(self.limit)
    }
}

#[derive(Debug)]
pub(crate) struct Station {
    version: &'static str,
    /// 0 with direct current.
    phases: i64,
    profiles: Vec<(u64, Value)>,
}

impl Station {
    pub(crate) fn new(version: &'static str, phases: i64) -> Station {
        Station {
            version,
            phases,
            profiles: Vec::new(),
        }
    }

    /// Takes a `SetChargingProfile` and answers it.
    pub(crate) fn set(&mut self, payload: &Value) -> Value {
        let (connector, profile) = match self.version {
            "1.6" => (&payload["connectorId"], &payload["csChargingProfiles"]),
            _ => (&payload["evseId"], &payload["chargingProfile"]),
        };
        let connector = connector.as_u64().unwrap();
        if let Err(problem) = self.problem(connector, profile) {
            return match self.version {
                "1.6" => json!({"status": "Rejected"}),
                _ => json!({"status": "Rejected", "statusInfo":
                    {"reasonCode": "InvalidSchedule", "additionalInfo": problem}}),
            };
        }
        // A profile takes the place of the one with the same number (K01.FR.05).
        let id = |profile: &Value| {
            profile
                .get("id")
                .unwrap_or(&profile["chargingProfileId"])
                .clone()
        };
        self.profiles.retain(|(_, old)| id(old) != id(profile));
        self.profiles.push((connector, profile.clone()));
        json!({"status": "Accepted"})
    }

    pub(crate) fn profiles(&self) -> usize {
        self.profiles.len()
    }

    /// What holds for a connector: the profile of its transaction, or else the default one, within that of the station.
    pub(crate) fn told(
        &self,
        connector: u64,
        transaction: Option<&Value>,
        at: Timestamp,
    ) -> Option<Told> {
        let of = |purpose: &str, connector: u64| {
            let mut found = self.profiles.iter().filter(|(at, profile)| {
                *at == connector && profile["chargingProfilePurpose"] == purpose
            });
            found.next().map(|(_, profile)| profile)
        };
        let own = of("TxProfile", connector)
            .filter(|profile| transaction.is_some_and(|id| profile["transactionId"] == *id));
        let mut told = self.period(own.or_else(|| of("TxDefaultProfile", connector))?, at)?;
        let most = of("ChargePointMaxProfile", 0).or_else(|| of("ChargingStationMaxProfile", 0));
        if let Some(most) = most.and_then(|most| self.period(most, at)) {
            assert_eq!(most.in_amperes, told.in_amperes);
            told.limit = told.limit.min(most.limit);
            told.setpoint = told.setpoint.map(|setpoint| setpoint.min(most.limit));
        }
        Some(told)
    }

    fn schedule<'a>(&self, profile: &'a Value) -> &'a Value {
        match self.version {
            "1.6" => &profile["chargingSchedule"],
            _ => &profile["chargingSchedule"][0],
        }
    }

    fn period(&self, profile: &Value, at: Timestamp) -> Option<Told> {
        let schedule = self.schedule(profile);
        let start = schedule["startSchedule"].as_str().unwrap();
        let start: DateTime<Utc> = start.parse().unwrap();
        let elapsed = at - start;
        let periods = schedule["chargingSchedulePeriod"].as_array().unwrap();
        let begun = |period: &&Value| {
            chrono::TimeDelta::seconds(period["startPeriod"].as_i64().unwrap()) <= elapsed
        };
        let period = periods.iter().rfind(begun)?;
        Some(Told {
            in_amperes: schedule["chargingRateUnit"] == "A",
            limit: period["limit"].as_f64().unwrap(),
            setpoint: period.get("setpoint").map(|value| value.as_f64().unwrap()),
            discharge_limit: period
                .get("dischargeLimit")
                .map(|value| value.as_f64().unwrap()),
        })
    }

    /// Requirements by their number in 2.1; 1.6 says the same of what it has.
    fn problem(&self, connector: u64, profile: &Value) -> Result<(), &'static str> {
        let purpose = profile["chargingProfilePurpose"].as_str().unwrap();
        let (whole, own) = (connector == 0, purpose == "TxProfile");
        let most = ["ChargePointMaxProfile", "ChargingStationMaxProfile"].contains(&purpose);
        ensure(
            whole == most,
            "a profile for the station on a connector, or the other way",
        )?;
        ensure(
            profile.get("transactionId").is_some() == own,
            "TxProfile needs its transaction, others have none",
        )?;
        let schedule = self.schedule(profile);
        ensure(profile["chargingProfileKind"] == "Absolute", "kind")?;
        ensure(
            schedule["startSchedule"].is_string(),
            "K01.FR.40: absolute without start",
        )?;
        ensure(
            schedule.get("duration").is_none(),
            "a schedule that ends leaves the pile without limit",
        )?;
        let periods = schedule["chargingSchedulePeriod"].as_array().unwrap();
        let starts: Vec<i64> = periods
            .iter()
            .map(|period| period["startPeriod"].as_i64().unwrap())
            .collect();
        ensure(
            starts.first() == Some(&0),
            "K01.FR.31: first period not at 0",
        )?;
        ensure(
            starts.is_sorted_by(|a, b| a < b),
            "K01.FR.35: periods out of order",
        )?;
        for period in periods {
            let phases = period
                .get("numberPhases")
                .map(|phases| phases.as_i64().unwrap());
            ensure(
                phases.is_none() || self.phases > 0,
                "K01.FR.44: phases for direct current",
            )?;
            ensure(
                phases.unwrap_or(0) <= self.phases,
                "K01.FR.45: too many phases",
            )?;
            self.operation(period, most)?;
        }
        Ok(())
    }

    /// The tables of operation modes of 2.1, and V2X.05.
    fn operation(&self, period: &Value, most: bool) -> Result<(), &'static str> {
        let has = |name: &str| period.get(name).is_some();
        let number = |name: &str| period.get(name).and_then(Value::as_f64);
        let limit = number("limit");
        ensure(limit.is_none_or(|limit| limit >= 0.0), "negative limit")?;
        if self.version != "2.1" {
            let more = has("operationMode") || has("setpoint") || has("dischargeLimit");
            return ensure(!more && limit.is_some(), "a limit and nothing else");
        }
        match period["operationMode"].as_str() {
            Some("ChargingOnly") => ensure(
                limit.is_some() && !has("setpoint") && !has("dischargeLimit"),
                "ChargingOnly has a limit and nothing else",
            ),
            Some("CentralSetpoint") => {
                ensure(!most, "CentralSetpoint for the station")?;
                let setpoint = number("setpoint").ok_or("CentralSetpoint without setpoint")?;
                let lowest = number("dischargeLimit").unwrap_or(f64::NEG_INFINITY);
                let highest = limit.unwrap_or(f64::INFINITY);
                ensure(
                    (lowest..=highest).contains(&setpoint),
                    "V2X.05: setpoint outside its limits",
                )
            }
            _ => Err("operation mode"),
        }
    }
}

fn ensure(holds: bool, problem: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(problem) }
}
