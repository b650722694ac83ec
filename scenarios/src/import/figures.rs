//! What the import assumes and derives: every figure that is not read from a data set stands here, and is written into the
//! file with its status.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, FixedOffset};
use vpp_aggregator::Warranty;

use super::ImportError;
use super::read::{HouseLoad, columns, data, json, weekend_factors};
use super::sample::Draws;
use crate::draw::Quantiles;
use crate::format::{Assumptions, SessionProfile, Source};

/// The profile of public stations.
pub(super) const PUBLIC: &str = "public";
/// What stations without DC piles serve, and how often: the source of the stations does not say.
pub(super) const AC_STATION_PROFILES: [(&str, f64); 3] =
    [(PUBLIC, 0.70), ("private", 0.15), ("workplace", 0.15)];
pub(super) const STATIONS_A_FEEDER: usize = 10;
pub(super) const FEEDERS_A_SUBSTATION: usize = 10;
pub(super) const TRANSFORMERS: usize = 6;
pub(super) const REGULATING_STATIONS: usize = 20;
/// Houses that a feeder supplies besides stations.
pub(super) const HOUSES_A_FEEDER: f64 = 400.0;
/// Columns of the source that are mixed into a feeder's load.
const COLUMNS_A_FEEDER: usize = 4;
/// Hours by which local time is ahead of UTC.
const AHEAD: usize = 8;

/// Limits over the sum of the connections underneath, base load apart.
pub(super) const FEEDER_SHARE: f64 = 0.88;
pub(super) const SUBSTATION_SHARE: f64 = 0.84;
/// One feeder in so many is built short.
pub(super) const ONE_FEEDER_TIGHT_IN: usize = 8;
pub(super) const TIGHT_FEEDER_SHARE: f64 = 0.55;
pub(super) const TIGHT_DEFAULT_SHARE: f64 = 0.5;
const DEFAULT_SHARE: f64 = 0.8;
/// What may flow up through a node over what may flow down.
pub(super) const EXPORT_SHARE: f64 = 0.5;

/// Sessions below this are left out of the energy curve: most are of plug-in hybrids, which hold no more.
const LEAST_ENERGY_KWH: f64 = 10.0;
/// Quantile tables have steps of 5 %.
const STEPS: usize = 20;

pub(super) const DESCRIPTION: &str = "A fleet distilled from public data sets (see [[source]]), with what is assumed beside them in comments.";

pub(super) fn start() -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339("2025-07-15T16:00:00+08:00").expect("a date-time with offset")
}

pub(super) fn sources(stations: usize) -> Vec<Source> {
    let row = |name: &str, licence: &str, taken: String| Source {
        name: name.into(),
        licence: licence.into(),
        taken,
    };
    vec![
        row(
            "ST-EVCDP, IntelligentSystemsLab, commit c9f048b: public charging stations of Shenzhen",
            "MIT",
            format!(
                "{stations} stations, stratified by fast piles and size; numbers of piles; places rounded to 0.001°; ids are our own. Shenzhen stands in for Guangzhou: no list of Guangzhou's stations is free"
            ),
        ),
        row(
            "ElaadNL open charging statistics, as shipped in ev2gym 2.0.0",
            "MIT (ev2gym)",
            format!(
                "weekday arrivals summed by hour; stays; energies of {LEAST_ENERGY_KWH} kWh and more; battery capacities of V2G-capable models weighted by registrations. Dutch habits stand in for Guangzhou's"
            ),
        ),
        row(
            "Residential loads of 20 houses, as shipped in ev2gym 2.0.0",
            "MIT (ev2gym)",
            format!(
                "mean summer day (15 to 21 July), {COLUMNS_A_FEEDER} houses mixed and scaled to {HOUSES_A_FEEDER} for each feeder; local time taken for the file's clock, turned to UTC hours"
            ),
        ),
        row(
            "PJM RegD signal of a day in July 2020, from Rick10119/Real-time-operation-strategy-of-virtual-power-plants, commit 5e4008e",
            "MIT",
            "ten minutes from the whole minute whose first 80 s move most, pairs of 2 s samples averaged"
                .into(),
        ),
    ]
}

/// The fleet's assumptions. Their status is written beside them in the file.
pub(super) fn assumptions(elaad: &Path) -> Result<Assumptions, ImportError> {
    Ok(Assumptions {
        ac_power_kw: 7.0,
        dc_powers_kw: vec![60.0, 120.0],
        dc_shares: vec![0.7, 0.3],
        v2g_share_ac: 0.1,
        v2g_share_dc: 0.3,
        v2g_ac_discharge_kw: 7.0,
        v2g_dc_discharge_kw: 20.0,
        v2g_consent_share: 0.6,
        v2g_floor: 0.4,
        charge_efficiency: 0.94,
        discharge_efficiency: 0.94,
        battery_capacity_kwh: capacities(&elaad.join("ev_specs_v2g_enabled2024.json"))?,
        connection_factor: 0.8,
        default_setpoint_share: DEFAULT_SHARE,
        ramp_share_per_second: 0.2,
        stated_share: 1.0,
        disobeying_pile_share: 0.03,
        refusing_station_share: 0.01,
        unreachable_station_share: 0.01,
        response_delay_s: [0.5, 3.0],
    })
}

/// The session profiles.
pub(super) fn sessions(elaad: &Path) -> Result<BTreeMap<String, SessionProfile>, ImportError> {
    const NAMES: [&str; 3] = ["private", PUBLIC, "workplace"];
    // Arrivals per AC pile and day. Public piles are busy.
    const AC_A_DAY: [f64; 3] = [1.2, 3.0, 1.5];
    const DC_A_DAY: f64 = 12.0;
    let quarters = columns(
        &elaad.join("distribution-of-arrival.csv"),
        "Arrival time",
        &NAMES,
        96,
    )?;
    let percent = "Percentage of charging events";
    let stays_path = elaad.join("distribution-of-connection-time.csv");
    let energies_path = elaad.join("distribution-of-energy-demand.csv");
    let stays = columns(&stays_path, percent, &NAMES, 101)?;
    let energies = columns(&energies_path, percent, &NAMES, 101)?;
    let mut profiles = BTreeMap::new();
    for (i, name) in NAMES.iter().enumerate() {
        let profile = SessionProfile {
            arrivals_per_ac_pile_day: AC_A_DAY[i],
            arrivals_per_dc_pile_day: DC_A_DAY,
            arrival_shape: hourly_shares(&quarters[i]),
            weekend_arrival_shape: None,
            weekend_factor: 1.0,
            holidays: Default::default(),
            stay_h: ascending(&stays[i], 100.0, 2).map_err(|e| data(&stays_path, 1, e))?,
            energy_kwh: conditional(&energies[i]).map_err(|e| data(&energies_path, 1, e))?,
            dc_energy_kwh: dc_energies(),
            dc_dwell_minutes: 5.0,
            battery_capacity_kwh: None,
            models: BTreeMap::new(),
        };
        profiles.insert((*name).to_string(), profile);
    }
    Ok(profiles)
}

/// The same with their weekends. Work places have none in the source: few come then (assumption).
pub(super) fn sessions_with_weekends(
    elaad: &Path,
) -> Result<BTreeMap<String, SessionProfile>, ImportError> {
    const WORKPLACE_FACTOR: f64 = 0.15;
    let names = ["private", PUBLIC];
    let path = elaad.join("distribution-of-arrival-weekend.csv");
    let quarters = columns(&path, "Arrival time", &names, 96)?;
    let factors = weekend_factors(&elaad.join("distribution-of-charging.csv"))?;
    let mut profiles = sessions(elaad)?;
    for (name, profile) in &mut profiles {
        match names.iter().position(|known| known == name) {
            Some(at) => {
                profile.weekend_arrival_shape = Some(hourly_shares(&quarters[at]));
                profile.weekend_factor = rounded(factors[at], 3);
            }
            None => profile.weekend_factor = WORKPLACE_FACTOR,
        }
    }
    Ok(profiles)
}

/// A rapid session of a battery-electric car: spread evenly from 8 to 44 kWh (an eighth to two thirds of a mean battery).
fn dc_energies() -> Quantiles {
    Quantiles::new(vec![8.0, 44.0]).expect("two ascending numbers")
}

/// Load of one feeder's houses by UTC hour, whole kilowatts.
pub(super) fn feeder_load(houses: &[HouseLoad], draws: &mut Draws) -> Vec<f64> {
    let chosen: Vec<&HouseLoad> = (0..COLUMNS_A_FEEDER)
        .map(|_| &houses[draws.below(houses.len())])
        .collect();
    #[allow(clippy::cast_precision_loss)] // 4
    let each = HOUSES_A_FEEDER / COLUMNS_A_FEEDER as f64;
    let local = |hour: usize| chosen.iter().map(|house| house[hour]).sum::<f64>() * each;
    (0..24)
        .map(|utc| local((utc + AHEAD) % 24).round())
        .collect()
}

/// Shares of the day by hour, to four decimals, with what rounding leaves given to the largest.
fn hourly_shares(quarters: &[f64]) -> Vec<f64> {
    let total: f64 = quarters.iter().sum();
    let hours = quarters
        .chunks_exact(4)
        .map(|hour| hour.iter().sum::<f64>() / total);
    let mut shares: Vec<f64> = hours.map(|share| rounded(share, 4)).collect();
    let rest = 1.0 - shares.iter().sum::<f64>();
    let largest = shares.iter().copied().fold(0.0, f64::max);
    if let Some(share) = shares.iter_mut().find(|share| **share >= largest) {
        *share = rounded(*share + rest, 4);
    }
    shares
}

/// From an exceedance curve (the value that 0 %, 1 %, … 100 % of events reach) to ascending quantiles of the events within
/// its first `share` percent.
fn ascending(curve: &[f64], share: f64, decimals: i32) -> Result<Quantiles, String> {
    let values = (0..=STEPS).map(|step| {
        #[allow(clippy::cast_precision_loss)] // 20
        let exceeding = share * (1.0 - step as f64 / STEPS as f64);
        rounded(at_percent(curve, exceeding), decimals)
    });
    Quantiles::new(values.collect()).map_err(|invalid| invalid.to_string())
}

/// Energies of the sessions that take at least [`LEAST_ENERGY_KWH`].
fn conditional(curve: &[f64]) -> Result<Quantiles, String> {
    let last = curve.iter().rposition(|energy| *energy >= LEAST_ENERGY_KWH);
    let Some(last) = last.filter(|last| last + 1 < curve.len()) else {
        return Err(format!("no value crosses {LEAST_ENERGY_KWH} kWh"));
    };
    let part = (curve[last] - LEAST_ENERGY_KWH) / (curve[last] - curve[last + 1]);
    #[allow(clippy::cast_precision_loss)] // 100
    ascending(curve, last as f64 + part, 1)
}

/// A curve given at whole percents, linear in between.
fn at_percent(curve: &[f64], percent: f64) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 100
    let below = (percent.max(0.0) as usize).min(curve.len() - 2);
    #[allow(clippy::cast_precision_loss)]
    let part = percent - below as f64;
    curve[below] + (curve[below + 1] - curve[below]) * part
}

/// Quantiles of battery capacity over registered vehicles, in steps of 10 %.
fn capacities(path: &Path) -> Result<Quantiles, ImportError> {
    let models = json(path)?;
    let number = |model: &serde_json::Value, key: &str| {
        let value = model.get(key).and_then(serde_json::Value::as_f64);
        value
            .filter(|value| *value > 0.0)
            .ok_or_else(|| data(path, 1, format!("a model lacks {key}")))
    };
    let mut known = Vec::new();
    for model in models
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::values)
    {
        known.push((
            number(model, "battery_capacity")?,
            number(model, "number_of_registrations")?,
        ));
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = known.iter().map(|(_, registered)| registered).sum();
    let at = |share: f64| {
        let mut reached = 0.0;
        let first = known.iter().find(|(_, registered)| {
            reached += registered;
            reached >= share * total
        });
        first
            .or(known.last())
            .map_or(0.0, |(capacity, _)| *capacity)
    };
    if known.is_empty() {
        return Err(data(path, 1, "no vehicle model"));
    }
    let values = (0..=10).map(|step| at(f64::from(step) / 10.0)).collect();
    Quantiles::new(values).map_err(|invalid| data(path, 1, invalid.to_string()))
}

fn rounded(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).round() / unit
}

/// What makers are taken to allow: no source gives it.
pub(super) fn warranty() -> Warranty {
    Warranty {
        soc_floor: 0.3,
        soc_ceiling: 1.0,
        discharge_kwh_per_day: 30.0,
        cycles: None,
        discharge_kw: None,
        temperature_c: Some([0.0, 45.0]),
    }
}
