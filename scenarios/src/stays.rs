//! Recorded stays: a CSV table, a row for each, read and written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use csv::StringRecord;
use vpp_core::{Energy, Invalid, Power, Session, StationId, Timestamp};

use crate::parse::MAX_FILE_BYTES;
use crate::problem::{Problem, did_you_mean};
use crate::sources::text_of;

/// The columns, in the order in which they are written; they are read in any order.
pub const COLUMNS: [&str; 9] = [
    "station",
    "pile",
    "arrival",
    "departure",
    "energy_needed_kwh",
    "energy_room_kwh",
    "energy_available_kwh",
    "max_charge_kw",
    "max_discharge_kw",
];
/// A column that may be left out.
pub const MODEL: &str = "model";
/// So many problems of a table are told; a table of something else has one in each row.
const MOST_PROBLEMS: usize = 100;

/// A vehicle's stay at a pile, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Where.
    pub station: StationId,
    /// Number of the pile within its station, from 0 in the order of its piles.
    pub pile: u32,
    /// When the vehicle came.
    pub arrival: Timestamp,
    /// When it leaves, and what it needed and could do when it came.
    pub session: Session,
    /// Its model, of those in the scenario's `[warranties]`, where it has limits of its own.
    pub model: Option<String>,
}

/// The table of stays.
///
/// # Errors
/// None that memory does not give.
pub fn to_csv(stays: &[Stay]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let models = stays.iter().any(|stay| stay.model.is_some());
    out.write_record(COLUMNS.into_iter().chain(models.then_some(MODEL)))?;
    let time = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    // A tenth of a milliwatt-hour; rounded alike, what fits still fits.
    let energy = |energy: Energy| decimal(energy.as_kilowatt_hours(), 1e6);
    let power = |power: Power| decimal(power.as_kilowatts(), 1e3);
    for stay in stays {
        let session = &stay.session;
        let row = [
            stay.station.to_string(),
            stay.pile.to_string(),
            time(stay.arrival),
            time(session.departure),
            energy(session.energy_needed),
            energy(session.energy_room),
            energy(session.energy_available),
            power(session.max_charge),
            power(session.max_discharge),
        ];
        let model = models.then(|| stay.model.clone().unwrap_or_default());
        out.write_record(row.into_iter().chain(model))?;
    }
    out.into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

fn decimal(value: f64, parts: f64) -> String {
    // Adding zero makes a negative zero a plain one.
    ((value * parts).round() / parts + 0.0).to_string()
}

/// What a table may speak of.
pub(crate) struct Known<'a> {
    /// Stations with the number of their piles.
    pub(crate) piles: BTreeMap<&'a str, u64>,
    /// Models of vehicles.
    pub(crate) models: BTreeSet<&'a str>,
}

/// Reads a table of stays of what is known; in the order of arrival.
///
/// # Errors
/// What the system says, if it cannot be read; else everything that is wrong with it, up to a hundred things.
pub(crate) fn load(path: &Path, known: &Known<'_>) -> Result<Vec<Stay>, Unread> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(Unread::Io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Unread::TooLarge);
    }
    let text = text_of(bytes, Some(path)).map_err(|problem| Unread::Problems(vec![problem]))?;
    parse(&text, path, known).map_err(Unread::Problems)
}

/// Why there are no stays.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The file cannot be read.
    Io(std::io::Error),
    /// It is larger than a scenario may be.
    TooLarge,
    /// It was read.
    Problems(Vec<Problem>),
}

/// A stay with where it stands in the table.
struct Row {
    stay: Stay,
    line: usize,
    column: usize,
}

fn parse(text: &str, path: &Path, known: &Known<'_>) -> Result<Vec<Stay>, Vec<Problem>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().cloned();
    let header = header.map_err(|error| vec![unreadable(path, &error)])?;
    let columns = columns(path, &header)?;
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for record in reader.records() {
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
        match record {
            Ok(record) => match row(path, &record, &columns, known) {
                Ok(row) => rows.push(row),
                Err(problem) => problems.push(problem),
            },
            Err(error) => problems.push(unreadable(path, &error)),
        }
    }
    problems.extend(overlaps(path, &rows).take(MOST_PROBLEMS));
    if !problems.is_empty() {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        return Err(problems);
    }
    let mut stays: Vec<Stay> = rows.into_iter().map(|row| row.stay).collect();
    stays.sort_by(|a, b| (a.arrival, &a.station, a.pile).cmp(&(b.arrival, &b.station, b.pile)));
    Ok(stays)
}

/// Where the values of a row stand.
struct Columns {
    /// Each of [`COLUMNS`].
    places: [usize; 9],
    model: Option<usize>,
}

fn columns(path: &Path, header: &StringRecord) -> Result<Columns, Vec<Problem>> {
    let mut problems = Vec::new();
    for (at, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name) && name != MODEL {
            let hint = did_you_mean(name, COLUMNS.into_iter().chain([MODEL]));
            let message = format!("column {name:?} is unknown");
            problems.push(problem(path, 1, column(header, at), "", message, hint));
        } else if header.iter().take(at).any(|before| before == name) {
            let message = format!("column {name} stands there twice");
            problems.push(problem(
                path,
                1,
                column(header, at),
                "",
                message,
                String::new(),
            ));
        }
    }
    let mut places = [0; 9];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        match header.iter().position(|known| known == name) {
            Some(at) => *place = at,
            None => {
                let message = format!("there is no column {name}");
                problems.push(problem(path, 1, 1, "", message, String::new()));
            }
        }
    }
    if problems.is_empty() {
        let model = header.iter().position(|known| known == MODEL);
        Ok(Columns { places, model })
    } else {
        Err(problems)
    }
}

/// The first thing that is wrong with a row, or the stay.
fn row(
    path: &Path,
    record: &StringRecord,
    columns: &Columns,
    known: &Known<'_>,
) -> Result<Row, Problem> {
    let line = record.position().map_or(0, csv::Position::line);
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    let places = &columns.places;
    let field = |at: usize| record.get(places[at]).unwrap_or_default();
    let wrong = |at: usize, message: String, hint: String| {
        let column = column(record, places[at]);
        problem(path, line, column, COLUMNS[at], message, hint)
    };
    let time = |at: usize| {
        let time = DateTime::parse_from_rfc3339(field(at));
        let time = time.map(|time| time.with_timezone(&Utc));
        time.map_err(|_| {
            let hint = "write it as 2025-07-15T08:00:00Z".into();
            wrong(at, format!("{:?} is no instant", field(at)), hint)
        })
    };
    let number = |at: usize| {
        let number = field(at).parse::<f64>();
        number.map_err(|_| wrong(at, format!("{:?} is no number", field(at)), String::new()))
    };
    let refused = |at: usize, invalid: Invalid| wrong(at, invalid.problem, String::new());
    let energy = |at: usize| {
        let energy = Energy::from_kilowatt_hours(COLUMNS[at], number(at)?);
        energy.map_err(|invalid| refused(at, invalid))
    };
    let power = |at: usize| {
        let power = Power::from_kilowatts(COLUMNS[at], number(at)?);
        power.map_err(|invalid| refused(at, invalid))
    };
    let (name, count) = match known.piles.get_key_value(field(0)) {
        Some((name, count)) => (*name, *count),
        None => {
            let hint = did_you_mean(field(0), known.piles.keys().copied());
            return Err(wrong(0, format!("station {} is unknown", field(0)), hint));
        }
    };
    let station = StationId::new(name).map_err(|invalid| refused(0, invalid))?;
    let pile = field(1).parse::<u32>().map_err(|_| {
        let message = format!("{:?} is no number of a pile", field(1));
        wrong(1, message, "piles are numbered from 0".into())
    })?;
    if u64::from(pile) >= count {
        let message = format!("{pile} is outside 0 to {}, the piles of {name}", count - 1);
        return Err(wrong(1, message, String::new()));
    }
    let (arrival, departure) = (time(2)?, time(3)?);
    if departure <= arrival {
        let message = format!("{} is not after the arrival, {}", field(3), field(2));
        return Err(wrong(3, message, String::new()));
    }
    let session = Session {
        departure,
        energy_needed: energy(4)?,
        energy_room: energy(5)?,
        energy_available: energy(6)?,
        max_charge: power(7)?,
        max_discharge: power(8)?,
    };
    session.check().map_err(|invalid| {
        let known = COLUMNS.iter().position(|name| *name == invalid.field);
        refused(known.unwrap_or(4), invalid)
    })?;
    let model = match columns.model {
        Some(at) => model(path, record, (line, at), known)?,
        None => None,
    };
    Ok(Row {
        stay: Stay {
            station,
            pile,
            arrival,
            session,
            model,
        },
        line,
        column: column(record, places[2]),
    })
}

/// The model of a row, at a line and column; none where nothing stands.
fn model(
    path: &Path,
    record: &StringRecord,
    (line, at): (usize, usize),
    known: &Known<'_>,
) -> Result<Option<String>, Problem> {
    let name = record.get(at).unwrap_or_default();
    if name.is_empty() || known.models.contains(name) {
        return Ok(Some(name.to_owned()).filter(|name| !name.is_empty()));
    }
    let hint = did_you_mean(name, known.models.iter().copied());
    let message = format!("warranty {name} is unknown");
    let column = column(record, at);
    Err(problem(path, line, column, MODEL, message, hint))
}

/// Stays that begin at a pile before the one before them has ended.
fn overlaps<'a>(path: &'a Path, rows: &'a [Row]) -> impl Iterator<Item = Problem> + 'a {
    let mut order: Vec<&Row> = rows.iter().collect();
    order.sort_by(|a, b| {
        let key = |row: &'a Row| (&row.stay.station, row.stay.pile, row.stay.arrival, row.line);
        key(a).cmp(&key(b))
    });
    let pairs: Vec<(&Row, &Row)> = order
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(before, after)| {
            let (before, after) = (&before.stay, &after.stay);
            let same = before.station == after.station && before.pile == after.pile;
            same && after.arrival < before.session.departure
        })
        .collect();
    pairs.into_iter().map(|(before, after)| {
        let Stay { station, pile, .. } = &after.stay;
        let message = format!(
            "pile {pile} of {station} is taken until {} by the stay of line {}",
            before.stay.session.departure.to_rfc3339(),
            before.line
        );
        problem(
            path,
            after.line,
            after.column,
            "arrival",
            message,
            String::new(),
        )
    })
}

fn unreadable(path: &Path, error: &csv::Error) -> Problem {
    let line = error.position().map_or(1, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} values for {expected_len} columns"),
        _ => error.to_string(),
    };
    let line = usize::try_from(line).unwrap_or(usize::MAX);
    problem(path, line, 1, "", message, String::new())
}

/// Where a value begins, in characters from 1; spaces and quotes around values are not counted.
fn column(record: &StringRecord, at: usize) -> usize {
    let before = record.iter().take(at);
    before.map(|value| value.chars().count() + 1).sum::<usize>() + 1
}

fn problem(
    path: &Path,
    line: usize,
    column: usize,
    key: &str,
    message: String,
    hint: String,
) -> Problem {
    Problem {
        file: Some(path.into()),
        line,
        column,
        path: key.into(),
        message,
        hint,
    }
}
