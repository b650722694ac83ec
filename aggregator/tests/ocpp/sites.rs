//! Stations with OCPP piles behind [`Sites`]: the operator's commands as profiles, the piles' messages as readings.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};
use vpp_aggregator::protocol::{
    Answer, Connector, Measured, Needs, PileOrder, StatusReport, answer, meter, needs, order,
    pile_reading, status, v2,
};
use vpp_aggregator::{Lease, Operator, PileReading, PileSetpoint, Sites};
use vpp_core::{AcknowledgementStatus, Pile, PileKind, Power, Station, Timestamp};

use crate::common::{aggregator, at, command, kw, station};
use crate::orders::dc;
use crate::schemas::check;
use crate::station::Station as Peer;

const VERSION: &str = "2.1";

/// One station with piles that speak OCPP 2.1, and the hardware behind them.
#[derive(Debug)]
struct OcppSites {
    stations: Vec<Station>,
    connectors: Vec<Connector>,
    peer: Peer,
    readings: Vec<PileReading>,
    refusal: Option<String>,
    last: BTreeMap<u32, (PileSetpoint, Lease)>,
    messages: usize,
    now: Timestamp,
}

impl OcppSites {
    fn new(piles: u32) -> OcppSites {
        let mut registered = station("s0", piles);
        registered.piles = vec![Pile {
            kind: PileKind::Dc,
            count: piles,
            rated_power: kw(20),
            discharge_power: kw(15),
        }];
        let connectors =
            (1..=piles).map(|number| Connector::bidirectional(number, dc(kw(0))).unwrap());
        let mut sites = OcppSites {
            stations: vec![registered],
            connectors: connectors.collect(),
            peer: Peer::new(VERSION, 0),
            readings: Vec::new(),
            refusal: None,
            last: BTreeMap::new(),
            messages: 0,
            now: at(0),
        };
        sites.advance(at(0));
        sites
    }

    /// What a pile does by its profile; nothing told, it charges as fast as it can.
    fn does(&self, pile: u32, at: Timestamp) -> Power {
        let told = self
            .peer
            .told(u64::from(pile + 1), Some(&json!(format!("t{pile}"))), at);
        told.map_or(kw(20), |told| Power::round_kilowatts(told.watts() / 1e3))
    }

    fn send(&mut self, message: &Value) {
        check(VERSION, "SetChargingProfile", message);
        let answer = answer::v2(&self.peer.set(message)).unwrap();
        self.refusal = answer.refusal();
        self.messages += 1;
    }

    fn reported(&mut self, report: &StatusReport) {
        self.refusal = report.refusal();
    }
}

impl Sites for OcppSites {
    fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// The piles' messages.
    fn advance(&mut self, now: Timestamp) {
        self.now = now;
        let piles = u32::try_from(self.connectors.len()).unwrap();
        let reading = |pile: u32| {
            let connector = &self.connectors[pile as usize];
            let does = self.does(pile, now);
            let (name, watts) = match does.as_watts() {
                watts if watts < 0 => ("Power.Active.Export", -watts),
                watts => ("Power.Active.Import", watts),
            };
            let values = json!({"evseId": connector.number(), "meterValue": [{"timestamp": now, "sampledValue":
                [{"measurand": name, "value": watts, "unitOfMeasure": {"unit": "W"}}]}]});
            check(VERSION, "MeterValues", &values);
            let said = json!({"evseId": connector.number(), "chargingNeeds": {
                "requestedEnergyTransfer": "DC_BPT",
                "departureTime": at(0) + TimeDelta::hours(8),
                "v2xChargingParameters": {"maxChargePower": 20000, "maxDischargePower": 15000,
                    "evTargetEnergyRequest": 10000, "evMaxEnergyRequest": 30000, "evMinV2XEnergyRequest": -20000}}});
            check(VERSION, "NotifyEVChargingNeeds", &said);
            let needs: Needs = needs::v2(&said, connector).unwrap();
            let power = meter::v2(&values).unwrap().active_power;
            pile_reading(pile, connector, &self.stations[0].piles[0], &power, &needs).unwrap()
        };
        self.readings = (0..piles).map(reading).collect();
    }

    fn readings(&self, _station: usize) -> &[PileReading] {
        &self.readings
    }

    fn active_power(&self, _station: usize) -> Power {
        self.readings
            .iter()
            .map(|reading| reading.active_power)
            .sum()
    }

    /// A pile is told again when its setpoint changes or half of its lease is gone.
    fn apply(&mut self, _station: usize, setpoints: &[PileSetpoint], lease: Lease) {
        let orders = PileOrder::for_station(setpoints, &lease, &self.connectors).unwrap();
        for (told, order) in setpoints.iter().zip(orders) {
            let fresh = self.last.get(&told.pile).is_some_and(|(last, since)| {
                last == told
                    && since.fallback == lease.fallback
                    && (since.valid_until == lease.valid_until
                        || since.valid_until - self.now > (lease.valid_until - self.now) / 2)
            });
            if fresh {
                continue;
            }
            let connector = self.connectors[told.pile as usize];
            let id = format!("t{}", told.pile);
            let purpose = v2::Purpose::Transaction(&id);
            let message =
                v2::set_charging_profile(v2::Version::V21, &connector, purpose, &order, self.now);
            self.send(&serde_json::to_value(message.unwrap()).unwrap());
            self.last.insert(told.pile, (*told, lease));
        }
    }

    fn refusal(&self, _station: usize) -> Option<&str> {
        self.refusal.as_deref()
    }

    fn reachable(&self, _station: usize) -> bool {
        true
    }
}

#[test]
fn a_command_goes_through_profiles_and_comes_back_as_power() {
    let mut operator = Operator::new(aggregator(), OcppSites::new(4));
    for (second, setpoint) in [(0, kw(-30)), (4, kw(25)), (8, kw(0))] {
        let now = at(second * 1_000);
        operator.control(now);
        let number = u64::try_from(second).unwrap() + 1;
        let answer = operator
            .receive(now, &command("s0", number, second * 1_000, setpoint))
            .unwrap();
        assert_eq!(answer.status, AcknowledgementStatus::Accepted);
        let now = now + TimeDelta::seconds(1);
        operator.control(now);
        let report = operator.telemetry(now).remove(0);
        assert_eq!(report.active_power, setpoint);
        assert_eq!(report.command_in_force.unwrap().number, number);
        assert_eq!(report.sessions.len(), 4);
    }
    // Nothing changes: nothing is sent until half of the lease is gone.
    let before = operator.sites().messages;
    for second in 10..30 {
        operator.control(at(second * 1_000));
    }
    assert_eq!(operator.sites().messages, before);
    // The aggregator falls silent: the piles fall back by themselves, together within the command's fallback of 50 kW.
    let sites = operator.sites_mut();
    sites.advance(at(68_001));
    assert_eq!(sites.active_power(0), kw(50));
    let parts = order::fallbacks(kw(50), &sites.connectors).unwrap();
    assert_eq!(parts, [Power::from_watts(12_500); 4]);
}

#[test]
fn a_station_that_reports_a_fault_refuses() {
    let mut operator = Operator::new(aggregator(), OcppSites::new(1));
    let faulted = json!({
        "timestamp": "2025-07-15T08:00:00Z", "connectorStatus": "Faulted", "evseId": 1, "connectorId": 1,
    });
    check(VERSION, "StatusNotification", &faulted);
    operator
        .sites_mut()
        .reported(&status::v2(&faulted).unwrap());
    let answer = operator
        .receive(at(0), &command("s0", 1, 0, kw(5)))
        .unwrap();
    assert_eq!(answer.status, AcknowledgementStatus::Refused);
    assert_eq!(answer.detail, "pile 1: fault");
    // So does one that does not take profiles.
    let sites = operator.sites_mut();
    sites.refusal = Answer::from_call_error("NotSupported", "").refusal();
    let answer = operator
        .receive(at(1_000), &command("s0", 2, 1_000, kw(5)))
        .unwrap();
    assert_eq!(
        answer.detail,
        "charging profiles not supported: NotSupported"
    );
    // Its meter still counts.
    let power = Measured {
        value: operator.sites().active_power(0),
        sampled_at: at(0),
    };
    assert_eq!(power.value, kw(20));
}
