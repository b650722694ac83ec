//! From what stations report to a scenario that replays it. Pure: reports come in, a recording comes out.
//!
//! A report lists the vehicles plugged in, in the order of the piles and without any identity. Which of them are the same as in
//! the report before is worked out in `matching.rs`; what is left over has come or has left. At the end each stay gets a pile
//! (`piles.rs`), and the fleet, the events and the stays become the text of a scenario (`write.rs`).

mod matching;
mod piles;
mod write;

use std::collections::BTreeMap;

use chrono::{SubsecRound as _, TimeDelta};
use vpp_core::{Power, Session, Station, StationId, Telemetry, Timestamp};

use crate::stays::Stay;
pub use write::{About, scenario};

/// The table of stays beside the scenario.
pub const STAYS_FILE: &str = "sessions.csv";
/// The scenario's file.
pub const SCENARIO_FILE: &str = "scenario.toml";
/// Whoever is in a station's first report, not later than this after the start, was there at the start.
const FIRST_REPORTS: TimeDelta = TimeDelta::minutes(1);
/// So far a station's clock may be ahead.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(1);

/// What became of the reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken.
    pub reports: u64,
    /// Older than the station's last one.
    pub late: u64,
    /// As old as the station's last one.
    pub repeated: u64,
    /// Of stations that nobody knows.
    pub unknown: u64,
    /// Undecodable, impossible, or with more vehicles than the station has piles.
    pub refused: u64,
    /// Stations that have reported.
    pub stations: usize,
    /// Stays begun.
    pub stays: u64,
}

/// Takes reports.
#[derive(Debug)]
pub struct Recorder {
    tracks: BTreeMap<StationId, Track>,
    counts: Counts,
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// When it begins, a whole second: the median of the stations' first reports, so that one wrong clock does not move it.
    pub start: Timestamp,
    /// The stays, in the order of arrival.
    pub stays: Vec<Stay>,
    /// What became of the reports.
    pub counts: Counts,
}

/// A station as it is followed.
#[derive(Debug)]
struct Track {
    station: Station,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// From the last report but one to the last.
    gap: TimeDelta,
    /// In the order of the last report.
    open: Vec<Visit>,
    over: Vec<Visit>,
}

/// A vehicle's stay, as far as it has been seen.
#[derive(Clone, Debug)]
struct Visit {
    seen_from: Timestamp,
    /// Its place in the first report with it: who came together stands in the order of the piles.
    place: usize,
    /// In the first report with it; powers are the greatest since, because a vehicle begins slowly and ends slowly.
    first: Session,
    /// In the last report with it.
    now: Session,
    /// When it left; until it has, meaningless.
    left: Timestamp,
}

impl Recorder {
    /// A recorder of these stations. Reports of others are counted and left out.
    pub fn new(stations: impl IntoIterator<Item = Station>) -> Recorder {
        let track = |station: Station| (station.id.clone(), Track::new(station));
        Recorder {
            tracks: stations.into_iter().map(track).collect(),
            counts: Counts::default(),
        }
    }

    /// Takes a report that came at `now`. One that claims to be from later is refused: all after it would count as late.
    pub fn take(&mut self, now: Timestamp, report: &Telemetry) {
        let counts = &mut self.counts;
        let Some(track) = self.tracks.get_mut(&report.station) else {
            counts.unknown += 1;
            return;
        };
        match track.last {
            Some(last) if report.sampled_at < last => counts.late += 1,
            Some(last) if report.sampled_at == last => counts.repeated += 1,
            _ if report.sampled_at > now + CLOCKS_APART => counts.refused += 1,
            _ if report.sessions.len() as u64 > track.station.pile_count() => counts.refused += 1,
            last => {
                counts.reports += 1;
                counts.stations += usize::from(last.is_none());
                counts.stays += track.take(report);
            }
        }
    }

    /// Counts a report that could not be read.
    pub fn refuse(&mut self) {
        self.counts.refused += 1;
    }

    /// What has become of the reports so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Ends the recording; none when no station has reported. Vehicles that are still there leave when they say.
    #[must_use]
    pub fn finish(self) -> Option<Recording> {
        let mut firsts: Vec<Timestamp> = self.tracks.values().filter_map(|t| t.first).collect();
        firsts.sort();
        let start = firsts.get(firsts.len() / 2)?.trunc_subsecs(0);
        let stays = self.tracks.into_values();
        let mut stays: Vec<Stay> = stays.flat_map(|track| track.stays(start)).collect();
        stays.sort_by(|a, b| (a.arrival, &a.station, a.pile).cmp(&(b.arrival, &b.station, b.pile)));
        Some(Recording {
            start,
            stays,
            counts: self.counts,
        })
    }
}

impl Track {
    fn new(station: Station) -> Track {
        Track {
            station,
            first: None,
            last: None,
            gap: TimeDelta::seconds(1),
            open: Vec::new(),
            over: Vec::new(),
        }
    }

    /// Takes a report that is newer than the last one; how many stays begin with it.
    fn take(&mut self, report: &Telemetry) -> u64 {
        let at = report.sampled_at;
        let before: Vec<&Session> = self.open.iter().map(|visit| &visit.now).collect();
        let since = self.last.map_or(TimeDelta::zero(), |last| at - last);
        let known = matching::matched(&before, &report.sessions, at, since);
        let mut open: Vec<Option<Visit>> = self.open.drain(..).map(Some).collect();
        let mut begun = 0;
        for (place, (session, known)) in report.sessions.iter().zip(known).enumerate() {
            let visit = known.and_then(|old| open[old].take());
            let visit = match visit {
                Some(visit) => visit.seen(session),
                None => {
                    begun += 1;
                    Visit::new(session, at, place)
                }
            };
            self.open.push(visit);
        }
        let last = self.last.unwrap_or(at);
        for mut visit in open.into_iter().flatten() {
            // At the time announced, if that lies between the reports; else between them it was not seen any more.
            let announced = visit.now.departure;
            let left_as_said = last < announced && announced <= at;
            visit.left = if left_as_said { announced } else { at };
            self.over.push(visit);
        }
        if self.last.is_some() {
            self.gap = since;
        }
        self.first = self.first.or(Some(at));
        self.last = Some(at);
        begun
    }

    fn stays(self, start: Timestamp) -> Vec<Stay> {
        let Track {
            station,
            first: Some(first),
            last: Some(last),
            gap,
            open,
            mut over,
        } = self
        else {
            return Vec::new();
        };
        for mut visit in open {
            visit.left = visit.now.departure.max(last + gap);
            over.push(visit);
        }
        over.sort_by_key(|visit| (visit.seen_from, visit.place));
        let there_at_start = first <= start + FIRST_REPORTS;
        let span = |visit: &Visit| {
            let from = match visit.seen_from == first && there_at_start {
                true => start,
                false => visit.seen_from.max(start),
            };
            (from.trunc_subsecs(3), visit.left.trunc_subsecs(3))
        };
        let stay = |visit: Visit| {
            let (arrival, departure) = span(&visit);
            (arrival < departure).then(|| Stay {
                station: station.id.clone(),
                pile: 0,
                arrival,
                session: Session {
                    departure,
                    ..visit.first
                },
                model: None,
            })
        };
        let mut stays: Vec<Stay> = over.into_iter().filter_map(stay).collect();
        stays.sort_by_key(|stay| stay.arrival);
        piles::assign(&mut stays, &station.piles);
        stays
    }
}

impl Visit {
    fn new(session: &Session, at: Timestamp, place: usize) -> Visit {
        Visit {
            seen_from: at,
            place,
            first: session.clone(),
            now: session.clone(),
            left: at,
        }
    }

    fn seen(mut self, session: &Session) -> Visit {
        let greater = |a: Power, b: Power| a.max(b);
        self.first.max_charge = greater(self.first.max_charge, session.max_charge);
        self.first.max_discharge = greater(self.first.max_discharge, session.max_discharge);
        self.now = session.clone();
        self
    }
}

#[cfg(test)]
mod tests;
