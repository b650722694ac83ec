//! The tables of a run. `docs/results.md` says the same for people; a test holds it against this file.

use crate::schema::{Date, Text, Timestamp, table};

table! {
    /// The whole fleet in an interval.
    System, SystemColumns = "system", "an interval" {
        /// Start of the interval; it ends where the next begins.
        start: Timestamp, "UTC";
        /// Mean power of all stations.
        power_kw: f64, "kW";
        /// Energy drawn, the sum over the stations that drew.
        import_kwh: f64, "kWh";
        /// Energy fed back, the sum over the stations that fed back.
        export_kwh: f64, "kWh";
        /// Vehicles plugged in at the end of the interval.
        vehicles: u64, "";
        /// Price of energy drawn; null without a tariff.
        energy_price_cny_per_kwh: Option<f64>, "CNY/kWh";
        /// Price of energy fed back; null without a tariff.
        feed_in_price_cny_per_kwh: Option<f64>, "CNY/kWh";
        /// What is promised to the grid's programmes: less draw than the baseline is positive.
        committed_kw: f64, "kW";
        /// What the stations are told to deliver of it.
        ordered_kw: f64, "kW";
        /// What they deliver of it.
        delivered_kw: f64, "kW";
        /// What could be called to draw less; null where it was not asked.
        callable_up_kw: Option<f64>, "kW";
        /// What could be called to draw more; null where it was not asked.
        callable_down_kw: Option<f64>, "kW";
        /// Commands sent.
        commands: u64, "";
        /// Commands that were answered.
        acknowledgements: u64, "";
        /// Commands that were refused.
        refusals: u64, "";
        /// Setpoints that the guard cut.
        guarded: u64, "";
        /// Stations whose telemetry is fresh at the end of the interval.
        fresh_stations: u64, "";
        /// Limits found broken in the interval.
        limit_violations: u64, "";
        /// How the last cycle decided: `idle`, `optimal`, `incumbent`, `fallback`, `hold`.
        decision: Text, "";
        /// Objective of the last plan, over its whole horizon; null without a plan.
        objective_cny: Option<f64>, "CNY";
    }
}

table! {
    /// An aggregator in an interval.
    Aggregator, AggregatorColumns = "aggregators", "an interval and an aggregator" {
        /// Start of the interval.
        start: Timestamp, "UTC";
        /// Who operates the stations.
        aggregator: Text, "";
        /// Mean power of its stations.
        power_kw: f64, "kW";
        /// Energy drawn.
        import_kwh: f64, "kWh";
        /// Energy fed back.
        export_kwh: f64, "kWh";
        /// What it is committed to: less draw than the baseline is positive.
        committed_kw: f64, "kW";
        /// What it delivers of it.
        delivered_kw: f64, "kW";
        /// What the energy drawn costs by the tariff.
        energy_cost_cny: f64, "CNY";
        /// What the energy fed back earns by the tariff.
        feed_in_cny: f64, "CNY";
        /// Subsidies earned.
        subsidy_cny: f64, "CNY";
    }
}

table! {
    /// A node of the electric tree in an interval.
    Node, NodeColumns = "nodes", "an interval and a node" {
        /// Start of the interval.
        start: Timestamp, "UTC";
        /// Transformer, feeder or substation.
        node: Text, "";
        /// Mean power through it, base load included.
        power_kw: f64, "kW";
        /// Of it the stations underneath.
        stations_kw: f64, "kW";
        /// The most that may flow down in the interval, a positive magnitude.
        import_limit_kw: f64, "kW";
        /// The most that may flow up in the interval, a positive magnitude.
        export_limit_kw: f64, "kW";
    }
}

table! {
    /// A station in an interval.
    Station, StationColumns = "stations", "an interval and a station (runs of at most 31 days, else empty)" {
        /// Start of the interval.
        start: Timestamp, "UTC";
        /// Charging or swap station.
        station: Text, "";
        /// Mean power.
        power_kw: f64, "kW";
        /// Setpoint in force at the end of the interval; null where none is.
        setpoint_kw: Option<f64>, "kW";
        /// Vehicles plugged in at the end of the interval.
        vehicles: u64, "";
    }
}

table! {
    /// A station on a local day.
    StationDay, StationDayColumns = "station_days", "a local day and a station" {
        /// Day in the tariff's time zone.
        day: Date, "local";
        /// Charging or swap station.
        station: Text, "";
        /// Who operates it.
        aggregator: Text, "";
        /// Its session profile: what kind of place it is.
        profile: Text, "";
        /// Energy drawn in sharp hours.
        import_sharp_kwh: f64, "kWh";
        /// Energy drawn in peak hours.
        import_peak_kwh: f64, "kWh";
        /// Energy drawn in flat hours.
        import_flat_kwh: f64, "kWh";
        /// Energy drawn in valley hours.
        import_valley_kwh: f64, "kWh";
        /// Energy fed back in sharp hours.
        export_sharp_kwh: f64, "kWh";
        /// Energy fed back in peak hours.
        export_peak_kwh: f64, "kWh";
        /// Energy fed back in flat hours.
        export_flat_kwh: f64, "kWh";
        /// Energy fed back in valley hours.
        export_valley_kwh: f64, "kWh";
        /// Vehicles that came and were plugged in.
        arrivals: u64, "";
        /// Vehicles that left.
        departures: u64, "";
        /// Of them those that left with less than they asked for.
        short_departures: u64, "";
        /// What those lacked, at the battery.
        energy_short_kwh: f64, "kWh";
        /// Of the short ones those for which there was not the time, at full power from arrival to departure.
        short_too_short: u64, "";
        /// Those held back: their station was told less than its vehicles needed.
        short_ceiling: u64, "";
        /// Those held back by their station's own controller: out of reach, refusing, or without a command.
        short_own_control: u64, "";
        /// Those whose maker allows no more.
        short_warranty: u64, "";
        /// Vehicles that found no free pile, or no charged pack.
        turned_away: u64, "";
        /// Vehicles that fed energy back.
        v2g_vehicles: u64, "";
        /// Energy that its piles gave, also what others at the station drew of it and never crossed the gate.
        pile_export_kwh: f64, "kWh";
    }
}

table! {
    /// What an event asked of an aggregator, and got.
    Event, EventColumns = "events", "an event and an aggregator" {
        /// The event; one that repeats has a number.
        event: Text, "";
        /// `demand_response`, `valley_filling` or `peak_shaving`.
        kind: Text, "";
        /// Who promised.
        aggregator: Text, "";
        /// Start of the event.
        start: Timestamp, "UTC";
        /// End of the event.
        end: Timestamp, "UTC";
        /// This aggregator's part of what was asked for, a positive magnitude.
        asked_kw: f64, "kW";
        /// What it promised, a positive magnitude.
        promised_kw: f64, "kW";
        /// What it delivered, measured against the baseline.
        delivered_kwh: f64, "kWh";
        /// What is missing to the promise.
        shortfall_kwh: f64, "kWh";
        /// `delivered`, `partly_delivered`, `refused`, `cancelled`, or `accepted` when it was not over yet.
        state: Text, "";
    }
}

table! {
    /// A value of the regulation signal.
    Regulation, RegulationColumns = "regulation", "a value of the signal" {
        /// When it came.
        time: Timestamp, "UTC";
        /// Change asked for: positive is to draw less.
        requested_kw: f64, "kW";
        /// Change that the stations were told.
        ordered_kw: f64, "kW";
        /// Change that they had made when the next value came.
        achieved_kw: f64, "kW";
    }
}

table! {
    /// A promise that came due.
    Promise, PromiseColumns = "promises", "a promise that came due" {
        /// Start of the interval that it was for.
        time: Timestamp, "UTC";
        /// Who made it.
        aggregator: Text, "";
        /// `up` (draw less) or `down` (draw more).
        direction: Text, "";
        /// How often it was said to be kept, 0 to 1; of each instant the same is promised with several.
        confidence: f64, "";
        /// What was promised, a magnitude above zero: a promise of nothing is none.
        promised_kw: f64, "kW";
        /// What there was.
        actual_kw: f64, "kW";
        /// Whether that was enough.
        kept: bool, "";
    }
}

table! {
    /// Who came and went at an aggregator's stations, and what was expected.
    Visits, VisitsColumns = "visits", "a quarter of an hour and an aggregator" {
        /// Start of the quarter of an hour.
        start: Timestamp, "UTC";
        /// Whose stations.
        aggregator: Text, "";
        /// Vehicles that plugged in, as reports tell.
        arrivals: u64, "";
        /// Vehicles that left.
        departures: u64, "";
        /// What those that plugged in needed when they were first reported, at their batteries.
        energy_needed_kwh: f64, "kWh";
        /// Vehicles that would plug in, by what was said the day before: no more in one of ten quarters; null until a week has been seen.
        expected_arrivals_p10: Option<f64>, "";
        /// Vehicles that would plug in, by what was said the day before: no more in half of the quarters; null until a week has been seen.
        expected_arrivals_p50: Option<f64>, "";
        /// Vehicles that would plug in, by what was said the day before: no more in nine of ten quarters; null until a week has been seen.
        expected_arrivals_p90: Option<f64>, "";
        /// Vehicles that would leave, by what was said the day before: no more in one of ten quarters; null until a week has been seen.
        expected_departures_p10: Option<f64>, "";
        /// Vehicles that would leave, by what was said the day before: no more in half of the quarters; null until a week has been seen.
        expected_departures_p50: Option<f64>, "";
        /// Vehicles that would leave, by what was said the day before: no more in nine of ten quarters; null until a week has been seen.
        expected_departures_p90: Option<f64>, "";
        /// What those that plug in would need, by what was said the day before: no more in one of ten quarters; null until a week has been seen.
        expected_energy_p10_kwh: Option<f64>, "kWh";
        /// What those that plug in would need, by what was said the day before: no more in half of the quarters; null until a week has been seen.
        expected_energy_p50_kwh: Option<f64>, "kWh";
        /// What those that plug in would need, by what was said the day before: no more in nine of ten quarters; null until a week has been seen.
        expected_energy_p90_kwh: Option<f64>, "kWh";
    }
}

table! {
    /// What a limit or a promise that binds costs in an interval.
    Price, PriceColumns = "prices", "an interval and a binding limit or promise" {
        /// Start of the interval.
        start: Timestamp, "UTC";
        /// What binds, such as `feeder-7 import` or `event-000001`.
        limit: Text, "";
        /// What one kWh more of room would have saved.
        price_cny_per_kwh: f64, "CNY/kWh";
    }
}

table! {
    /// An alarm.
    Alarm, AlarmColumns = "alarms", "an alarm" {
        /// When it was raised.
        time: Timestamp, "UTC";
        /// `info`, `warning` or `error`.
        severity: Text, "";
        /// What it is about: a station, node, aggregator or event.
        subject: Text, "";
        /// What happened.
        text: Text, "";
    }
}
