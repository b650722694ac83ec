//! What came of a run, as a table or as JSON.

use crate::say::say;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde_json::json;
use vpp_aggregator::kafka;
use vpp_core::{Cause, Promise, Unkept};
use vpp_proto::v1;
use vpp_scenarios::Scenario;
use vpp_service::{Distribution, Statistics};

/// What a regulation stream achieved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Regulated {
    up_kw: f64,
    down_kw: f64,
    stations: u32,
    signals: u32,
    requested: f64,
    ordered_error: f64,
    achieved_error: f64,
    /// What the last value asked for.
    in_force: f64,
}

impl Regulated {
    pub(crate) fn take(&mut self, answer: v1::RegulateResponse) {
        match answer.message {
            Some(v1::regulate_response::Message::Started(started)) => {
                self.up_kw = started.capacity_up_kw;
                self.down_kw = started.capacity_down_kw;
                self.stations = started.station_count;
            }
            Some(v1::regulate_response::Message::Achieved(achieved)) => {
                self.signals += 1;
                self.requested += achieved.requested_kw.abs();
                self.ordered_error += (achieved.ordered_kw - achieved.requested_kw).abs();
                // What is achieved when a value comes is what became of the one before.
                self.achieved_error += (achieved.achieved_kw - self.in_force).abs();
                self.in_force = achieved.requested_kw;
            }
            None => {}
        }
    }
}

impl Regulated {
    fn json(&self) -> serde_json::Value {
        let signals = f64::from(self.signals.max(1));
        json!({
            "capacity_up_kw": self.up_kw,
            "capacity_down_kw": self.down_kw,
            "stations": self.stations,
            "signals": self.signals,
            "mean_requested_kw": self.requested / signals,
            "mean_ordered_error_kw": self.ordered_error / signals,
            "mean_achieved_error_kw": self.achieved_error / signals,
        })
    }
}

/// Milliseconds of a distribution.
#[derive(Clone, Copy, Debug, Default)]
struct Latency {
    median: f64,
    p99: f64,
    worst: f64,
}

impl Latency {
    fn of(distribution: &Distribution) -> Latency {
        let ms = |length: std::time::Duration| length.as_secs_f64() * 1e3;
        Latency {
            median: ms(distribution.quantile(0.5)),
            p99: ms(distribution.quantile(0.99)),
            worst: ms(distribution.worst()),
        }
    }

    fn row(self) -> String {
        format!("{:.1} / {:.1} / {:.1}", self.median, self.p99, self.worst)
    }

    fn json(self) -> serde_json::Value {
        json!({ "median_ms": self.median, "p99_ms": self.p99, "worst_ms": self.worst })
    }
}

/// Sums over the cycles in which demand response was on.
#[derive(Clone, Copy, Debug, Default)]
struct Response {
    cycles: u32,
    committed: f64,
    ordered: f64,
    acknowledged: f64,
    delivered: f64,
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Summary {
    name: String,
    aggregators: usize,
    stations: usize,
    piles: u64,
    v2g_piles: u64,
    pub(crate) capability: Option<v1::Capability>,
    pub(crate) events: Vec<v1::Event>,
    pub(crate) regulated: Option<Regulated>,
    response: Response,
    commands: u64,
    acknowledgements: u64,
    refusals: u64,
    limit_violations: u64,
    deadline_misses: u64,
    degraded_cycles: u64,
    busy_cycles: u64,
    lost_commands: u64,
    dead_letters: u64,
    records: u64,
    cycle_time: Latency,
    solve_time: Latency,
    signal_to_broker: Latency,
    malformed: u64,
    unkept: Unkept,
}

impl Summary {
    pub(crate) fn new(scenario: &Scenario) -> anyhow::Result<Summary> {
        let fleet = scenario.fleet()?;
        Ok(Summary {
            name: scenario.header.name.clone(),
            aggregators: fleet.aggregators().len(),
            stations: fleet.stations().len(),
            piles: fleet
                .stations()
                .iter()
                .map(vpp_core::Station::pile_count)
                .sum(),
            v2g_piles: fleet
                .stations()
                .iter()
                .map(vpp_core::Station::v2g_pile_count)
                .sum(),
            ..Summary::default()
        })
    }

    pub(crate) fn add(&mut self, cycle: &v1::WatchDispatchResponse) {
        self.acknowledgements += u64::from(cycle.acknowledgement_count);
        self.refusals += u64::from(cycle.refusal_count);
        self.limit_violations += u64::from(cycle.limit_violation_count);
        if cycle.committed_kw.abs() > 0.0 {
            // What fills a valley counts as well as what shaves a peak.
            let along = cycle.committed_kw.signum();
            self.response.cycles += 1;
            self.response.committed += along * cycle.committed_kw;
            self.response.ordered += along * cycle.ordered_kw;
            self.response.acknowledged += along * cycle.acknowledged_kw;
            self.response.delivered += along * cycle.delivered_kw;
        }
    }

    pub(crate) fn read_statistics(&mut self, statistics: &Statistics) {
        self.commands = statistics.commands.get();
        self.deadline_misses = statistics.deadline_misses.get();
        self.degraded_cycles = statistics.degraded_cycles.get();
        self.busy_cycles = statistics.busy_cycles.get();
        self.lost_commands = statistics.lost_commands.get();
        self.dead_letters = statistics.dead_letters.get();
        self.records = statistics.records.get();
        self.cycle_time = Latency::of(&statistics.cycle_time);
        self.solve_time = Latency::of(&statistics.solve_time);
        self.signal_to_broker = Latency::of(&statistics.signal_to_broker);
    }

    pub(crate) fn read_aggregator(&mut self, report: &kafka::Report) {
        self.malformed += report.malformed;
        self.unkept.merge(&report.unkept);
    }

    /// Whether no limit was broken and nothing was late.
    pub(crate) fn is_sound(&self) -> bool {
        self.limit_violations == 0 && self.deadline_misses == 0 && self.lost_commands == 0
    }

    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            say!("{}", self.json());
            return Ok(());
        }
        say!("{}", self.table());
        let verdict = if self.is_sound() {
            "no limit was broken, no command was late"
        } else {
            "NOT sound: see violations, misses and lost commands above"
        };
        say!("{verdict}");
        Ok(())
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / f64::from(self.response.cycles.max(1)) / 1e3
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header([format!("scenario {}", self.name), String::new()]);
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        row(
            "fleet",
            format!(
                "{} aggregators, {} stations, {} piles ({} V2G)",
                self.aggregators, self.stations, self.piles, self.v2g_piles
            ),
        );
        if let Some(capability) = &self.capability {
            let up = capability.up.unwrap_or_default();
            row(
                "callable before, up",
                format!("{:.2} MW", up.callable_kw / 1e3),
            );
        }
        for event in &self.events {
            row(&event.event_id, event_row(event));
        }
        if self.response.cycles > 0 {
            let response = &self.response;
            row(
                "demand response, promised (mean)",
                format!("{:.2} MW", self.mean(response.committed)),
            );
            row(
                "  ordered",
                format!("{:.2} MW", self.mean(response.ordered)),
            );
            row(
                "  acknowledged",
                format!("{:.2} MW", self.mean(response.acknowledged)),
            );
            row(
                "  delivered",
                format!("{:.2} MW", self.mean(response.delivered)),
            );
        }
        if let Some(regulated) = &self.regulated {
            row("regulation", regulation_row(regulated));
        }
        let answered = format!(
            "{} sent, {} answered, {} refused, {} lost",
            self.commands, self.acknowledgements, self.refusals, self.lost_commands
        );
        row("commands", answered);
        row("limit violations", self.limit_violations.to_string());
        row("promises to owners not kept", unkept_row(&self.unkept));
        row(
            "cycle time, median / p99 / worst",
            format!("{} ms", self.cycle_time.row()),
        );
        row(
            "  of it the optimizer",
            format!("{} ms", self.solve_time.row()),
        );
        row(
            "signal to broker, median / p99 / worst",
            format!("{} ms", self.signal_to_broker.row()),
        );
        row(
            "deadline misses",
            format!(
                "{} of {} cycles ({} decided without the optimizer's proof)",
                self.deadline_misses, self.busy_cycles, self.degraded_cycles
            ),
        );
        row(
            "records taken",
            format!("{} ({} refused)", self.records, self.dead_letters),
        );
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        table
    }

    fn json(&self) -> serde_json::Value {
        let event = |event: &v1::Event| {
            json!({
                "event_id": event.event_id,
                "accepted_kw": event.accepted_kw,
                "refused_kw": event.refused_kw,
                "committed_kwh": event.committed_kwh,
                "delivered_kwh": event.delivered_kwh,
                "shortfall_kwh": event.shortfall_kwh,
                "outcome": event.outcome().as_str_name(),
            })
        };
        json!({
            "scenario": self.name,
            "aggregators": self.aggregators,
            "stations": self.stations,
            "piles": self.piles,
            "v2g_piles": self.v2g_piles,
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
            "committed_mw": self.mean(self.response.committed),
            "ordered_mw": self.mean(self.response.ordered),
            "acknowledged_mw": self.mean(self.response.acknowledged),
            "delivered_mw": self.mean(self.response.delivered),
            "commands": self.commands,
            "acknowledgements": self.acknowledgements,
            "refusals": self.refusals,
            "lost_commands": self.lost_commands,
            "limit_violations": self.limit_violations,
            "unkept_promises": unkept_json(&self.unkept),
            "deadline_misses": self.deadline_misses,
            "regulation": self.regulated.as_ref().map(Regulated::json),
            "busy_cycles": self.busy_cycles,
            "degraded_cycles": self.degraded_cycles,
            "cycle_time": self.cycle_time.json(),
            "solve_time": self.solve_time.json(),
            "signal_to_broker": self.signal_to_broker.json(),
            "records": self.records,
            "dead_letters": self.dead_letters,
            "malformed_commands": self.malformed,
            "sound": self.is_sound(),
        })
    }
}

/// Those that were not kept: promise, cause, how often.
fn unkept(unkept: &Unkept) -> impl Iterator<Item = (Promise, Cause, u64)> {
    let each = Unkept::each();
    let counted = each.map(|(promise, cause)| (promise, cause, unkept.count(promise, cause)));
    counted.filter(|(_, _, count)| *count > 0)
}

fn unkept_row(all: &Unkept) -> String {
    let each = unkept(all).map(|(promise, cause, count)| {
        let (promise, cause) = (promise.name(), cause.name());
        format!("{promise} ({cause}) {count}").replace('_', " ")
    });
    match all.total() {
        0 => "0".into(),
        total => format!("{total}: {}", each.collect::<Vec<_>>().join(", ")),
    }
}

fn unkept_json(all: &Unkept) -> serde_json::Value {
    let each = unkept(all).map(|(promise, cause, count)| {
        json!({
            "promise": promise.name(),
            "cause": cause.name(),
            "count": count,
            "energy_kwh": all.energy(promise, cause).as_kilowatt_hours(),
        })
    });
    each.collect()
}

fn event_row(event: &v1::Event) -> String {
    let asked = (event.accepted_kw + event.refused_kw) / 1e3;
    let outcome = match event.outcome() {
        v1::EventOutcome::Unspecified => "not over",
        v1::EventOutcome::Delivered => "delivered",
        v1::EventOutcome::PartlyDelivered => "partly delivered",
        v1::EventOutcome::Cancelled => "cancelled",
    };
    format!(
        "{asked:.2} MW asked, {:.2} MW promised; {:.0} of {:.0} kWh: {outcome}, shortfall {:.0} kWh",
        event.accepted_kw / 1e3,
        event.delivered_kwh,
        event.committed_kwh,
        (event.committed_kwh - event.delivered_kwh).max(0.0)
    )
}

fn regulation_row(regulated: &Regulated) -> String {
    let signals = f64::from(regulated.signals.max(1));
    format!(
        "{:.2} MW up, {:.2} MW down by {} stations; {} signals, mean |request| {:.0} kW, \
         mean error ordered {:.0} kW, achieved {:.0} kW",
        regulated.up_kw / 1e3,
        regulated.down_kw / 1e3,
        regulated.stations,
        regulated.signals,
        regulated.requested / signals,
        regulated.ordered_error / signals,
        regulated.achieved_error / signals
    )
}
