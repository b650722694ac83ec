//! The text of a recorded scenario. Stations come last.

use std::fmt::{self, Write};

use chrono::{FixedOffset, TimeDelta};
use vpp_core::{
    Event, EventState, Fleet, Node, PileKind, Power, Programme, Scope, Station, Timestamp,
};

use super::{Recording, STAYS_FILE};
use crate::import::write::{list, quoted};

/// `Asia/Shanghai` before UTC, s.
const LOCAL_AHEAD_S: i32 = 8 * 3_600;
/// Shorter ones are planned and lived in shorter steps than is usual, or there would be none.
const SHORT: TimeDelta = TimeDelta::hours(2);
/// What `[assumptions]` must have and nothing of it is used, but for the last line: stations are as registered and vehicles as
/// recorded.
const ASSUMPTIONS: &str = "\
# Not used: stations are as they were registered, vehicles as they were recorded.
[assumptions]
ac_power_kw = 7
dc_powers_kw = [60]
dc_shares = [1]
v2g_share_ac = 0
v2g_share_dc = 0
v2g_ac_discharge_kw = 0
v2g_dc_discharge_kw = 0
v2g_consent_share = 0
v2g_floor = 0
charge_efficiency = 0.94
discharge_efficiency = 0.94
battery_capacity_kwh = [50, 50]
connection_factor = 1
default_setpoint_share = 1
ramp_share_per_second = 0.25
disobeying_pile_share = 0
refusing_station_share = 0
unreachable_station_share = 0
# assumption: shortest and longest delay of a station, where it lives second by second
response_delay_s = [0.5, 2]

# Nobody comes who was not recorded.
[sessions.recorded]
arrivals_per_ac_pile_day = 0
arrivals_per_dc_pile_day = 0
arrival_shape = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
stay_h = [1, 1]
energy_kwh = [0, 0]
dc_energy_kwh = [0, 0]
dc_dwell_minutes = 0
";

/// What no report says.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Short name of the scenario.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// How long was recorded; the scenario has whole minutes, rounded up.
    pub length: TimeDelta,
    /// Which prices hold.
    pub rule_pack: String,
}

impl About {
    fn minutes(&self) -> i64 {
        let minutes = (self.length.num_milliseconds() + 59_999).div_euclid(60_000);
        minutes.clamp(1, 527_040)
    }
}

/// The text of the scenario that a recording of this fleet makes, with what was called meanwhile; its stays are for
/// [`STAYS_FILE`] beside it.
///
/// # Errors
/// None that memory does not give.
pub fn scenario(
    about: &About,
    recording: &Recording,
    fleet: &Fleet,
    events: &[Event],
) -> Result<String, fmt::Error> {
    let mut out = String::new();
    header(&mut out, about, recording)?;
    out.write_str(ASSUMPTIONS)?;
    let start = recording.start;
    let length_s = about.minutes() * 60;
    for event in events {
        write_event(&mut out, event, start, length_s)?;
    }
    for aggregator in fleet.aggregators() {
        let (id, name) = (&aggregator.id, quoted(&aggregator.display_name));
        writeln!(out, "\n[[aggregator]]\nid = \"{id}\"\nname = {name}")?;
    }
    for node in fleet.tree().nodes() {
        write_node(&mut out, node, start)?;
    }
    writeln!(out, "\n# An engine knows no places.")?;
    writeln!(out, "[fleet]\nprofile = \"recorded\"")?;
    writeln!(out, "recorded = \"{STAYS_FILE}\"\nstations = [")?;
    for station in fleet.stations() {
        write_station(&mut out, station)?;
    }
    writeln!(out, "]")?;
    Ok(out)
}

fn header(out: &mut String, about: &About, recording: &Recording) -> fmt::Result {
    let counts = &recording.counts;
    writeln!(
        out,
        "# Recorded by `vpp record`: {} reports of {} stations, {} stays.",
        counts.reports,
        counts.stations,
        recording.stays.len()
    )?;
    writeln!(
        out,
        "# Left out: {} reports that were late, {} repeated, {} of unknown stations, {} unreadable or impossible.",
        counts.late, counts.repeated, counts.unknown, counts.refused
    )?;
    writeln!(
        out,
        "# Format: scenarios/README.md. Power in kW, positive draws from the grid."
    )?;
    let start =
        FixedOffset::east_opt(LOCAL_AHEAD_S).map(|local| recording.start.with_timezone(&local));
    let start = start.map_or_else(|| recording.start.to_rfc3339(), |start| start.to_rfc3339());
    writeln!(
        out,
        "\nformat = 1\n\n[scenario]\nname = {}",
        quoted(&about.name)
    )?;
    writeln!(out, "description = {}", quoted(&about.description))?;
    writeln!(
        out,
        "start = {start}\nduration_minutes = {}",
        about.minutes()
    )?;
    writeln!(out, "# Of the stations' delays alone.\nseed = 1")?;
    writeln!(
        out,
        "\n[tariff]\nrule_pack = {}\n",
        quoted(&about.rule_pack)
    )?;
    if about.length < SHORT {
        writeln!(out, "[dispatch]\ncycle_s = 60\nstep_s = 10\n")?;
    }
    Ok(())
}

/// What of an event lies within.
fn write_event(out: &mut String, event: &Event, start: Timestamp, length_s: i64) -> fmt::Result {
    let interval = event.request.interval;
    let from = (interval.start() - start).num_seconds().clamp(0, length_s);
    let to = (interval.end() - start).num_seconds().clamp(0, length_s);
    if event.state == EventState::Cancelled || from >= to {
        return Ok(());
    }
    let (kind, key, power) = match &event.request.programme {
        Programme::DemandResponse { reduction } => ("demand_response", "reduction_kw", reduction),
        Programme::ValleyFilling { increase } => ("valley_filling", "increase_kw", increase),
        Programme::PeakShaving { ceiling, .. } => ("peak_shaving", "ceiling_kw", ceiling),
    };
    writeln!(out, "\n[[event]]\nid = \"{}\"\nkind = \"{kind}\"", event.id)?;
    writeln!(out, "start_offset_s = {from}\nduration_s = {}", to - from)?;
    writeln!(out, "{key} = {}", power.as_kilowatts())?;
    match (&event.request.programme, &event.request.scope) {
        (Programme::PeakShaving { node, .. }, _) | (_, Scope::Node(node)) => {
            writeln!(out, "node = \"{node}\"")
        }
        (_, Scope::Aggregator(aggregator)) => writeln!(out, "aggregator = \"{aggregator}\""),
        (_, Scope::All) => Ok(()),
    }
}

fn write_node(out: &mut String, node: &Node, start: Timestamp) -> fmt::Result {
    writeln!(
        out,
        "\n[[node]]\nid = \"{}\"\nkind = \"{}\"",
        node.id, node.kind
    )?;
    if let Some(parent) = &node.parent {
        writeln!(out, "parent = \"{parent}\"")?;
    }
    writeln!(
        out,
        "import_limit_kw = {}",
        node.import_limit.as_kilowatts()
    )?;
    writeln!(
        out,
        "export_limit_kw = {}",
        node.export_limit.as_kilowatts()
    )?;
    if let Some(agreement) = &node.agreement {
        let interval = agreement.interval;
        let from = (interval.start() - start).num_seconds().max(0);
        let length = (interval.end() - start).num_seconds() - from;
        if length > 0 && agreement.import_limit >= node.import_limit {
            let limit_kw = agreement.import_limit.as_kilowatts();
            writeln!(
                out,
                "agreement = {{ import_limit_kw = {limit_kw}, start_offset_s = {from}, duration_s = {length} }}"
            )?;
        }
    }
    let hours = node.base_load.hours();
    if hours.iter().all(|load| *load == hours[0]) {
        return writeln!(out, "base_load_kw = {}", hours[0].as_kilowatts());
    }
    writeln!(
        out,
        "base_load_kw = {}",
        list(&hours.map(Power::as_kilowatts))
    )
}

fn write_station(out: &mut String, station: &Station) -> fmt::Result {
    let Station {
        id,
        aggregator,
        node,
        ..
    } = station;
    let (import_kw, default_kw) = (station.import_limit, station.default_setpoint);
    write!(
        out,
        "  {{ id = \"{id}\", aggregator = \"{aggregator}\", node = \"{node}\", place = [0, 0]"
    )?;
    if station.regulates {
        write!(out, ", regulates = true")?;
    }
    write!(out, ", import_limit_kw = {}", import_kw.as_kilowatts())?;
    write!(out, ", default_setpoint_kw = {}", default_kw.as_kilowatts())?;
    write!(out, ", exact = {{ piles = [")?;
    for (place, group) in station.piles.iter().enumerate() {
        let kind = match group.kind {
            PileKind::Ac => "ac",
            PileKind::Dc => "dc",
        };
        let comma = if place > 0 { ", " } else { "" };
        write!(out, "{comma}{{ kind = \"{kind}\", count = {}", group.count)?;
        write!(
            out,
            ", rated_power_kw = {}",
            group.rated_power.as_kilowatts()
        )?;
        if group.discharge_power > Power::ZERO {
            let discharge_kw = group.discharge_power.as_kilowatts();
            write!(out, ", discharge_power_kw = {discharge_kw}")?;
        }
        write!(out, " }}")?;
    }
    let (export_kw, ramp_kw) = (station.export_limit, station.ramp_per_second);
    write!(out, "], export_limit_kw = {}", export_kw.as_kilowatts())?;
    write!(out, ", ramp_kw_per_second = {}", ramp_kw.as_kilowatts())?;
    write!(out, ", charge_efficiency = {}", station.charge_efficiency)?;
    writeln!(
        out,
        ", discharge_efficiency = {} }} }},",
        station.discharge_efficiency
    )
}
