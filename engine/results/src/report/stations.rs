//! The stations: their energy by kind of place and period of the tariff, and a heat map of all.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{NaiveDate, Timelike as _};
use serde::Serialize;

use super::fleet::whole;
use super::series::{local, round};
use crate::reader::{Reader, each};
use crate::schema::Text;
use crate::{Error, Header, rows};

/// Quarters of an hour in a day.
const SLOTS: usize = 96;

/// A kind of place.
#[derive(Default, Serialize)]
pub(super) struct Profile {
    id: String,
    station_days: u64,
    /// Sharp, peak, flat, valley.
    import_kwh: [f64; 4],
    export_kwh: [f64; 4],
    arrivals: u64,
    departures: u64,
    short_departures: u64,
    turned_away: u64,
    v2g_vehicles: u64,
}

pub(super) fn profiles(folder: &Path) -> Result<Vec<Profile>, Error> {
    let mut all: BTreeMap<Text, Profile> = BTreeMap::new();
    each::<rows::StationDay>(folder, |columns| {
        for row in 0..columns.day.len() {
            let profile = all.entry(columns.profile[row].clone()).or_default();
            profile.station_days += 1;
            let (import, export) = energy(&columns, row);
            for period in 0..4 {
                profile.import_kwh[period] += import[period];
                profile.export_kwh[period] += export[period];
            }
            profile.arrivals += columns.arrivals[row];
            profile.departures += columns.departures[row];
            profile.short_departures += columns.short_departures[row];
            profile.turned_away += columns.turned_away[row];
            profile.v2g_vehicles += columns.v2g_vehicles[row];
        }
    })?;
    let profiles = all.into_iter().map(|(id, profile)| Profile {
        id: id.to_string(),
        import_kwh: profile.import_kwh.map(|energy| round(energy, 1)),
        export_kwh: profile.export_kwh.map(|energy| round(energy, 1)),
        ..profile
    });
    Ok(profiles.collect())
}

fn energy(columns: &rows::StationDayColumns, row: usize) -> ([f64; 4], [f64; 4]) {
    (
        [
            columns.import_sharp_kwh[row],
            columns.import_peak_kwh[row],
            columns.import_flat_kwh[row],
            columns.import_valley_kwh[row],
        ],
        [
            columns.export_sharp_kwh[row],
            columns.export_peak_kwh[row],
            columns.export_flat_kwh[row],
            columns.export_valley_kwh[row],
        ],
    )
}

/// All stations: mean power in each quarter of an hour of the local day, or, in a long run, on each day.
#[derive(Serialize)]
pub(super) struct HeatMap {
    /// First local day where a column is a day; none where it is a quarter of an hour.
    first_day: Option<NaiveDate>,
    width: usize,
    stations: Vec<Station>,
    /// Row by row a signed byte for each column, of 127 the station's own greatest; base64.
    cells: String,
}

#[derive(Clone, Default, Serialize)]
struct Station {
    id: String,
    aggregator: String,
    profile: String,
    /// The power that 127 stands for, kW.
    scale_kw: f64,
}

pub(super) fn heat_map(folder: &Path, header: &Header) -> Result<Option<HeatMap>, Error> {
    let mut about: BTreeMap<Text, Station> = BTreeMap::new();
    let mut days: BTreeMap<(Text, NaiveDate), f64> = BTreeMap::new();
    each::<rows::StationDay>(folder, |columns| {
        for row in 0..columns.day.len() {
            let id = &columns.station[row];
            about.entry(id.clone()).or_insert_with(|| Station {
                id: id.to_string(),
                aggregator: columns.aggregator[row].to_string(),
                profile: columns.profile[row].to_string(),
                scale_kw: 0.0,
            });
            let (import, export) = energy(&columns, row);
            let net = import.iter().sum::<f64>() - export.iter().sum::<f64>();
            *days.entry((id.clone(), columns.day[row])).or_default() += net / 24.0;
        }
    })?;
    let mut powers: BTreeMap<Text, Vec<f64>> = BTreeMap::new();
    let first_day = if Reader::<rows::Station>::open(folder)?.rows() > 0 {
        powers = slots(folder, header)?;
        None
    } else {
        let first = days.keys().map(|(_, day)| *day).min();
        let last = days.keys().map(|(_, day)| *day).max();
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(None);
        };
        let at = |day: NaiveDate| usize::try_from((day - first).num_days()).unwrap_or(0);
        for ((id, day), power) in days {
            powers.entry(id).or_insert_with(|| vec![0.0; at(last) + 1])[at(day)] = power;
        }
        Some(first)
    };
    let mut rows: Vec<(Station, Vec<f64>)> = (powers.into_iter())
        .map(|(id, powers)| {
            let unknown = || Station {
                id: id.to_string(),
                ..Station::default()
            };
            (about.get(&id).cloned().unwrap_or_else(unknown), powers)
        })
        .collect();
    rows.sort_by(|a, b| {
        (a.0.profile.cmp(&b.0.profile))
            .then_with(|| centre(&a.1).total_cmp(&centre(&b.1)))
            .then_with(|| a.0.id.cmp(&b.0.id))
    });
    let mut bytes = Vec::new();
    let mut stations = Vec::new();
    for (mut station, powers) in rows {
        let scale = powers
            .iter()
            .fold(0.0_f64, |most, power| most.max(power.abs()));
        #[allow(clippy::cast_possible_truncation)] // −127 to 127
        let cell = |power: &f64| ((power / scale.max(1e-9) * 127.0).round() as i8).cast_unsigned();
        bytes.extend(powers.iter().map(cell));
        station.scale_kw = round(scale, 2);
        stations.push(station);
    }
    Ok(Some(HeatMap {
        width: bytes.len() / stations.len().max(1),
        first_day,
        stations,
        cells: base64(&bytes),
    }))
}

/// Mean power of each station in each quarter of an hour of the local day.
fn slots(folder: &Path, header: &Header) -> Result<BTreeMap<Text, Vec<f64>>, Error> {
    let mut places: BTreeMap<Text, usize> = BTreeMap::new();
    let mut sums: Vec<(Text, Vec<(f64, u32)>)> = Vec::new();
    // An interval longer than a quarter of an hour fills all that it covers.
    let covered = usize::try_from(header.interval_s.div_ceil(900))
        .unwrap_or(1)
        .clamp(1, SLOTS);
    each::<rows::Station>(folder, |columns| {
        // Rows come interval by interval, and in each the stations in the same order.
        let (mut begun, mut slot, mut next) = (None, 0, 0);
        for row in 0..columns.start.len() {
            if begun != Some(columns.start[row]) {
                begun = Some(columns.start[row]);
                let second = local(header, columns.start[row]).num_seconds_from_midnight();
                slot = usize::try_from(second / 900).unwrap_or(0);
                next = 0;
            }
            let id = &columns.station[row];
            let place = match sums.get(next) {
                Some((known, _)) if known == id => next,
                _ => *places.entry(id.clone()).or_insert_with(|| {
                    sums.push((id.clone(), vec![(0.0, 0); SLOTS]));
                    sums.len() - 1
                }),
            };
            next = place + 1;
            let station = &mut sums[place].1;
            for at in slot..slot + covered {
                let (sum, count) = &mut station[at % SLOTS];
                *sum += columns.power_kw[row];
                *count += 1;
            }
        }
    })?;
    let mean = |(sum, count): (f64, u32)| sum / f64::from(count.max(1));
    let means = |(id, sums): (Text, Vec<(f64, u32)>)| (id, sums.into_iter().map(mean).collect());
    Ok(sums.into_iter().map(means).collect())
}

/// Where in the row most of the draw lies.
fn centre(powers: &[f64]) -> f64 {
    let drawn = powers.iter().map(|power| power.max(0.0));
    let total: f64 = drawn.clone().sum();
    let moment: f64 = drawn
        .enumerate()
        .map(|(at, power)| whole(at as u64) * power)
        .sum();
    if total > 0.0 { moment / total } else { 0.0 }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| usize::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = DIGITS[bits >> (18 - 6 * digit) & 63];
            text.push(if digit > three.len() {
                '='
            } else {
                char::from(value)
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_rows_centre_is_where_it_draws() {
        assert!((centre(&[0.0, 1.0, 0.0, 1.0]) - 2.0).abs() < 1e-9);
        assert!((centre(&[-5.0, 0.0, 3.0]) - 2.0).abs() < 1e-9);
        assert!(centre(&[0.0, -1.0]).abs() < 1e-9);
    }
}
