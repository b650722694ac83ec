//! A made-up run, plausible enough to look at: charging at homes, works and depots, sun at noon, events, a signal.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike as _};
use vpp_results::{Error, Header, RulePack, Summary, Tables, Timestamp, rows};

/// What is made up.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Local days, from 14 July 2025 on.
    pub(crate) days: u32,
    /// Stations.
    pub(crate) stations: u32,
    /// Length of an interval, seconds.
    pub(crate) interval_s: u32,
    /// Another seed is another run.
    pub(crate) seed: u64,
}

const AGGREGATORS: [&str; 5] = ["agg-csg", "agg-teld", "agg-star", "agg-gac", "agg-nio"];
const PROFILES: [&str; 4] = ["home", "office", "public", "depot"];
const OFFSET_H: i64 = 8;

/// A draw between 0 and 1 that depends on its numbers alone (splitmix64).
fn draw(seed: u64, a: u64, b: u64) -> f64 {
    let mut z = seed
        .wrapping_add(a.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(b.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (((z ^ (z >> 31)) >> 11) as f64) / (1_u64 << 53) as f64
}

fn bump(hour: f64, centre: f64, width: f64) -> f64 {
    let away = (hour - centre + 36.0).rem_euclid(24.0) - 12.0;
    (-(away / width).powi(2)).exp()
}

/// CNY/kWh and the period: 0 sharp, 1 peak, 2 flat, 3 valley.
fn price(hour: u32) -> (f64, usize) {
    match hour {
        11 | 15 | 16 => (1.35, 0),
        10 | 14 | 17 | 18 => (1.08, 1),
        0..8 => (0.24, 3),
        _ => (0.63, 2),
    }
}

struct Station {
    id: String,
    aggregator: usize,
    profile: usize,
    size_kw: f64,
    v2g: bool,
}

impl Station {
    fn new(seed: u64, at: u32) -> Station {
        let at = u64::from(at);
        Station {
            id: format!("GZ-{at:04}"),
            aggregator: (at % 5) as usize,
            profile: (draw(seed, at, 1) * 4.0) as usize,
            size_kw: 40.0 + 400.0 * draw(seed, at, 2).powi(2),
            v2g: draw(seed, at, 3) < 0.3,
        }
    }

    fn power(&self, seed: u64, interval: u64, local: NaiveDateTime, weekend: bool) -> f64 {
        let hour = f64::from(local.num_seconds_from_midnight()) / 3600.0;
        let shape = match self.profile {
            0 => 0.75 * bump(hour, 1.0, 3.5) + 0.2 * bump(hour, 21.0, 2.0),
            1 => 0.8 * bump(hour, 10.5, 2.5) * if weekend { 0.25 } else { 1.0 },
            2 => 0.35 + 0.3 * bump(hour, 13.0, 3.0) + 0.25 * bump(hour, 20.0, 2.5),
            _ => 0.9 * bump(hour, 3.0, 2.8) + 0.3 * bump(hour, 13.0, 1.2),
        };
        let noise = 0.7
            + 0.6
                * draw(
                    seed,
                    interval,
                    self.id.len() as u64 + self.size_kw.to_bits(),
                );
        let exports = self.v2g && matches!(price(local.hour()).1, 0) && self.profile != 3;
        self.size_kw
            * if exports {
                -0.25 * noise
            } else {
                shape * noise
            }
    }
}

/// Writes a whole run into a folder: tables and summary.
pub(crate) fn write(folder: &Path, size: Size) -> Result<(), Error> {
    let start: Timestamp =
        DateTime::from_timestamp(1_752_422_400, 0).expect("14 July 2025, 00:00 in Guangzhou");
    let stations: Vec<Station> = (0..size.stations)
        .map(|at| Station::new(size.seed, at))
        .collect();
    let intervals = u64::from(size.days) * 86_400 / u64::from(size.interval_s);
    let hours = f64::from(size.interval_s) / 3600.0;
    let mut tables = Tables::create(folder)?;
    let nodes: usize = (stations.len() / 10).clamp(1, 8);
    let node_sizes: Vec<f64> = (0..nodes)
        .map(|node| {
            stations
                .iter()
                .skip(node)
                .step_by(nodes)
                .map(|station| station.size_kw)
                .sum()
        })
        .collect();
    let mut day_sums = vec![([0.0; 4], [0.0; 4]); stations.len()];
    for interval in 0..intervals {
        let at = start + TimeDelta::seconds(i64::from(size.interval_s) * interval as i64);
        let local = (at + TimeDelta::hours(OFFSET_H)).naive_utc();
        let day = interval * u64::from(size.interval_s) / 86_400;
        let weekend = matches!(day % 7, 5 | 6);
        let (tariff, period) = price(local.hour());
        let event = matches!(local.hour(), 15) && (size.days < 8 || day % 9 == 2);
        let (mut by, mut node_kw) = ([(0.0, 0.0, 0.0); 5], vec![0.0; nodes]);
        for (place, station) in stations.iter().enumerate() {
            let power = station.power(size.seed, interval, local, weekend);
            let power = if event {
                power - 0.12 * station.size_kw
            } else {
                power
            };
            let sums = &mut by[station.aggregator];
            sums.0 += power;
            sums.1 += power.max(0.0) * hours;
            sums.2 += (-power).max(0.0) * hours;
            node_kw[place % nodes] += power;
            day_sums[place].0[period] += power.max(0.0) * hours;
            day_sums[place].1[period] += (-power).max(0.0) * hours;
            if size.days <= 31 {
                let setpoint =
                    (draw(size.seed, interval, place as u64) < 0.6).then_some(power.round());
                tables.stations.push(rows::Station {
                    start: at,
                    station: station.id.as_str().into(),
                    power_kw: power,
                    setpoint_kw: setpoint,
                    vehicles: (power.abs() / 12.0).ceil() as u64,
                })?;
            }
        }
        let all: f64 = stations.iter().map(|station| station.size_kw).sum();
        let (mut committed_sum, mut delivered_sum) = (0.0, 0.0);
        for (place, (power, import, export)) in by.into_iter().enumerate() {
            let share: f64 = 0.1 * all / 5.0 * (0.6 + 0.2 * place as f64);
            let committed = if event { share } else { 0.0 };
            let delivered = committed * (0.9 + 0.16 * draw(size.seed, interval, place as u64 + 77));
            committed_sum += committed;
            delivered_sum += delivered;
            tables.aggregators.push(rows::Aggregator {
                start: at,
                aggregator: AGGREGATORS[place].into(),
                power_kw: power,
                import_kwh: import,
                export_kwh: export,
                committed_kw: committed,
                delivered_kw: delivered,
                energy_cost_cny: import * tariff,
                feed_in_cny: export * tariff * 0.9,
                subsidy_cny: export * 0.2,
            })?;
        }
        for (place, power) in node_kw.iter().enumerate() {
            let hour = f64::from(local.num_seconds_from_midnight()) / 3600.0;
            let base = node_sizes[place] * (0.15 + 0.2 * bump(hour, 20.0, 3.0));
            let limit = node_sizes[place] * 0.95;
            tables.nodes.push(rows::Node {
                start: at,
                node: format!("feeder-{place:02}").as_str().into(),
                power_kw: (power + base).min(limit),
                stations_kw: *power,
                import_limit_kw: limit,
                export_limit_kw: limit * 0.6,
            })?;
            if power + base > limit * 0.85 {
                tables.prices.push(rows::Price {
                    start: at,
                    limit: format!("feeder-{place:02} import").as_str().into(),
                    price_cny_per_kwh: 0.05 + 0.6 * draw(size.seed, interval, place as u64 + 5),
                })?;
            }
        }
        let power: f64 = by.iter().map(|sums| sums.0).sum();
        let fresh = u64::from(size.stations) - u64::from(draw(size.seed, interval, 9) < 0.05);
        tables.system.push(rows::System {
            start: at,
            power_kw: power,
            import_kwh: by.iter().map(|sums| sums.1).sum(),
            export_kwh: by.iter().map(|sums| sums.2).sum(),
            vehicles: (power.abs() / 9.0) as u64,
            energy_price_cny_per_kwh: Some(tariff),
            feed_in_price_cny_per_kwh: Some(tariff * 0.9),
            committed_kw: committed_sum,
            ordered_kw: committed_sum * 1.02,
            delivered_kw: delivered_sum,
            callable_up_kw: Some(0.35 * power.max(0.0) + 0.05 * all),
            callable_down_kw: Some(0.2 * (all - power).max(0.0)),
            commands: u64::from(size.stations) / 3,
            acknowledgements: u64::from(size.stations) / 3,
            refusals: u64::from(draw(size.seed, interval, 10) < 0.1),
            guarded: u64::from(draw(size.seed, interval, 11) < 0.2) * 3,
            fresh_stations: fresh,
            limit_violations: 0,
            decision: if draw(size.seed, interval, 12) < 0.96 {
                "optimal"
            } else {
                "incumbent"
            }
            .into(),
            objective_cny: Some(power * 0.5),
        })?;
        if event && local.minute() == 0 && local.second() == 0 {
            for (place, aggregator) in AGGREGATORS.iter().enumerate() {
                let promised = 0.1 * all / 5.0 * (0.6 + 0.2 * place as f64);
                let delivered = promised * (0.93 + 0.1 * draw(size.seed, day, place as u64));
                tables.events.push(rows::Event {
                    event: format!("peak-{:04}", day + 1).as_str().into(),
                    kind: "demand_response".into(),
                    aggregator: (*aggregator).into(),
                    start: at,
                    end: at + TimeDelta::hours(1),
                    asked_kw: promised * 1.1,
                    promised_kw: promised,
                    delivered_kwh: delivered,
                    shortfall_kwh: (promised - delivered).max(0.0),
                    state: if delivered < promised * 0.95 {
                        "partly_delivered"
                    } else {
                        "delivered"
                    }
                    .into(),
                })?;
            }
        }
        if local.minute() == 0 && local.second() == 0 {
            for (place, aggregator) in AGGREGATORS.iter().enumerate() {
                for (which, confidence) in [0.5, 0.8, 0.9, 0.95].into_iter().enumerate() {
                    let kept =
                        draw(size.seed, interval, (place * 7 + which) as u64) < confidence + 0.02;
                    let promised = 900.0 * (1.1 - confidence);
                    tables.promises.push(rows::Promise {
                        time: at,
                        aggregator: (*aggregator).into(),
                        direction: if place % 2 == 0 { "up" } else { "down" }.into(),
                        confidence,
                        promised_kw: promised,
                        actual_kw: if kept { promised * 1.1 } else { promised * 0.9 },
                        kept,
                    })?;
                }
            }
            if draw(size.seed, interval, 13) < 0.08 {
                tables.alarms.push(rows::Alarm {
                    time: at,
                    severity: ["info", "warning", "error"]
                        [(draw(size.seed, interval, 14) * 2.2) as usize]
                        .into(),
                    subject: stations[interval as usize % stations.len()]
                        .id
                        .as_str()
                        .into(),
                    text: "reports nothing for 300 s <b>&</b> is left out".into(),
                })?;
            }
        }
        let ends_day = (at + TimeDelta::seconds(i64::from(size.interval_s) + OFFSET_H * 3600))
            .num_seconds_from_midnight()
            == 0;
        if ends_day {
            for (place, station) in stations.iter().enumerate() {
                let (import, export) = std::mem::take(&mut day_sums[place]);
                let arrivals = (import.iter().sum::<f64>() / 22.0).ceil() as u64;
                let short = draw(size.seed, day, place as u64 + 900) < 0.1;
                tables.station_days.push(rows::StationDay {
                    day: local.date(),
                    station: station.id.as_str().into(),
                    aggregator: AGGREGATORS[station.aggregator].into(),
                    profile: PROFILES[station.profile].into(),
                    import_sharp_kwh: import[0],
                    import_peak_kwh: import[1],
                    import_flat_kwh: import[2],
                    import_valley_kwh: import[3],
                    export_sharp_kwh: export[0],
                    export_peak_kwh: export[1],
                    export_flat_kwh: export[2],
                    export_valley_kwh: export[3],
                    arrivals,
                    departures: arrivals,
                    short_departures: u64::from(short),
                    energy_short_kwh: if short { 2.4 } else { 0.0 },
                    short_ceiling: u64::from(short && day % 2 == 0),
                    short_too_short: u64::from(short && day % 2 == 1),
                    short_own_control: 0,
                    short_warranty: 0,
                    turned_away: u64::from(draw(size.seed, day, place as u64 + 901) < 0.05),
                    v2g_vehicles: if station.v2g { arrivals / 4 } else { 0 },
                    pile_export_kwh: export.iter().sum::<f64>() * 1.2,
                })?;
            }
        }
    }
    if size.days <= 31 {
        let (mut level, mut before) = (0.0_f64, 0.0);
        for value in 0..1800_u64 {
            level = (level + 0.25 * (draw(size.seed, value, 21) - 0.5)).clamp(-1.0, 1.0);
            let requested = 2000.0 * level;
            let achieved =
                before + 0.8 * (requested - before) + 30.0 * (draw(size.seed, value, 22) - 0.5);
            before = achieved;
            tables.regulation.push(rows::Regulation {
                time: start + TimeDelta::hours(12) + TimeDelta::seconds(4 * value as i64),
                requested_kw: requested,
                ordered_kw: requested * 0.99,
                achieved_kw: achieved,
            })?;
        }
    }
    tables.finish()?;
    let capacity: f64 = stations.iter().map(|station| station.size_kw).sum();
    let header = Header {
        name: format!(
            "synthetic: {} stations <&>, {} days",
            size.stations, size.days
        ),
        start,
        duration_minutes: u64::from(size.days) * 1440,
        interval_s: u64::from(size.interval_s),
        utc_offset_h: OFFSET_H as f64,
        seed: size.seed,
        rule_packs: vec![RulePack {
            name: "guangdong-2025".into(),
            version: 3,
        }],
        stations: u64::from(size.stations),
        piles: u64::from(size.stations) * 14,
        v2g_piles: u64::from(size.stations) * 2,
        swap_stations: 0,
        aggregators: 5,
        capacity_mva: capacity / 1e3,
    };
    Summary::derive(folder, header)?.write(folder)
}
