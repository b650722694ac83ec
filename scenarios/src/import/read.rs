//! Streaming readers of the data sets. Each error names the file and the line.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::StringRecord;
use flate2::read::MultiGzDecoder;

use super::ImportError;

/// A station of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SourceStation {
    pub(super) ac: u32,
    pub(super) dc: u32,
    /// Longitude and latitude, degrees.
    pub(super) place: [f64; 2],
}

/// Mean day of one column of houses, kW by hour of the **local** day.
pub(super) type HouseLoad = [f64; 24];

/// The stations that have piles.
pub(super) fn stations(path: &Path) -> Result<Vec<SourceStation>, ImportError> {
    let mut stations = Vec::new();
    let expected = [
        "station_id",
        "latitude",
        "longitude",
        "fast",
        "slow",
        "count",
    ];
    each_row(path, Some(&expected), |row| {
        let station = SourceStation {
            ac: number(row, 4)?,
            dc: number(row, 3)?,
            place: [number(row, 2)?, number(row, 1)?],
        };
        let [longitude, latitude] = station.place;
        if !((-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude)) {
            return Err(format!("{longitude}, {latitude} is no place"));
        }
        if station.ac > 10_000 || station.dc > 10_000 {
            return Err(format!(
                "{} and {} piles, at most 10000",
                station.ac, station.dc
            ));
        }
        // Some rows of the source stand for stations without any pile.
        if station.ac + station.dc > 0 {
            stations.push(station);
        }
        Ok(())
    })?;
    Ok(stations)
}

/// A table of shares or values by row, for the named columns: `[column][row]`.
pub(super) fn columns(
    path: &Path,
    first: &str,
    names: &[&str],
    rows: usize,
) -> Result<Vec<Vec<f64>>, ImportError> {
    let mut columns = vec![Vec::new(); names.len()];
    let header: Vec<&str> = std::iter::once(first)
        .chain(names.iter().copied())
        .collect();
    each_row(path, Some(&header), |row| {
        for (position, column) in columns.iter_mut().enumerate() {
            let value: f64 = number(row, position + 1)?;
            if !value.is_finite() || value < 0.0 {
                return Err(format!("{value} is not a number from 0 up"));
            }
            column.push(value);
        }
        Ok(())
    })?;
    let found = columns.first().map_or(0, Vec::len);
    if found != rows {
        return Err(data(
            path,
            found as u64 + 1,
            format!("{found} rows, not {rows}"),
        ));
    }
    Ok(columns)
}

/// The mean summer day of each column: 15 to 21 July of a year that begins on 1 January, by local hour.
pub(super) fn house_loads(folder: &Path) -> Result<Vec<HouseLoad>, ImportError> {
    const QUARTERS_A_DAY: usize = 96;
    const FIRST_DAY: usize = 195;
    const DAYS: usize = 7;
    let path = folder.join("loads_15min_kw_20_houses.csv.gz");
    let mut sums: Vec<HouseLoad> = Vec::new();
    let mut quarter = 0;
    each_row(&path, None, |row| {
        let day = quarter / QUARTERS_A_DAY;
        let hour = quarter % QUARTERS_A_DAY / 4;
        quarter += 1;
        if !(FIRST_DAY..FIRST_DAY + DAYS).contains(&day) {
            return Ok(());
        }
        sums.resize(sums.len().max(row.len()), [0.0; 24]);
        for (column, sum) in sums.iter_mut().enumerate() {
            let load: f64 = number(row, column)?;
            if !load.is_finite() {
                return Err(format!("{load} is not a finite number"));
            }
            sum[hour] += load;
        }
        Ok(())
    })?;
    let needed = (FIRST_DAY + DAYS) * QUARTERS_A_DAY;
    if quarter < needed || sums.is_empty() {
        return Err(data(
            &path,
            quarter as u64,
            format!("{quarter} rows, at least {needed}"),
        ));
    }
    #[allow(clippy::cast_precision_loss)] // 28
    let samples = (DAYS * 4) as f64;
    let mean = |sum: HouseLoad| sum.map(|load| load / samples);
    Ok(sums.into_iter().map(mean).collect())
}

/// Ten minutes of the signal at 4 s (pairs of samples averaged), positive = draw less: from the whole minute whose first
/// 80 s move most, because that is what the short award of the pilot sees.
pub(super) fn liveliest_signal(path: &Path) -> Result<Vec<f64>, ImportError> {
    const SAMPLES: usize = 300;
    const FIRST: usize = 40;
    const SAMPLES_A_MINUTE: usize = 30;
    let mut samples: Vec<f64> = Vec::new();
    each_row(path, Some(&["second", "regd_pu"]), |row| {
        let value: f64 = number(row, 1)?;
        // The source overshoots its unit by measurement noise here and there.
        if !(-1.1..=1.1).contains(&value) {
            return Err(format!("{value} is outside -1.1 to 1.1"));
        }
        samples.push(value.clamp(-1.0, 1.0));
        Ok(())
    })?;
    let mileage = |window: &[f64]| -> f64 {
        let moves = window[..FIRST]
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).abs());
        moves.sum()
    };
    let windows = samples.windows(SAMPLES).step_by(SAMPLES_A_MINUTE);
    let Some(liveliest) = windows.max_by(|a, b| mileage(a).total_cmp(&mileage(b))) else {
        let found = samples.len();
        return Err(data(
            path,
            found as u64 + 1,
            format!("{found} samples, at least {SAMPLES}"),
        ));
    };
    let mean = |pair: &[f64]| ((pair[0] + pair[1]) * 500.0).round() / 1e3;
    Ok(liveliest.chunks_exact(2).map(mean).collect())
}

/// Energy charged on a Saturday or Sunday over that on another day, by the source's median shares of the days: of private
/// and of public piles. Work places have no weekend there.
pub(super) fn weekend_factors(path: &Path) -> Result<[f64; 2], ImportError> {
    const COLUMNS: [usize; 2] = [3, 8];
    let mut days: Vec<[f64; 2]> = Vec::new();
    each_row(path, None, |row| {
        if row.get(3) != Some("private (median)") {
            days.push([number(row, COLUMNS[0])?, number(row, COLUMNS[1])?]);
        }
        Ok(())
    })?;
    let found = days.len();
    let [week @ .., saturday, sunday] = days.as_slice() else {
        return Err(data(path, found as u64, format!("{found} days, not 7")));
    };
    if week.len() != 5 {
        return Err(data(path, found as u64, format!("{found} days, not 7")));
    }
    Ok([0, 1].map(|of| {
        let weekday = week.iter().map(|day| day[of]).sum::<f64>() / 5.0;
        (saturday[of] + sunday[of]) / 2.0 / weekday
    }))
}

/// Reads a JSON file.
pub(super) fn json(path: &Path) -> Result<serde_json::Value, ImportError> {
    let io = |source| ImportError::Io {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    serde_json::from_reader(std::io::BufReader::new(file))
        .map_err(|error| data(path, error.line() as u64, error.to_string()))
}

pub(super) fn data(path: &Path, line: u64, problem: impl Into<String>) -> ImportError {
    ImportError::Data {
        path: path.into(),
        line,
        problem: problem.into(),
    }
}

/// Hands each row of a CSV file, packed or not, to `take`. A header must begin with the expected names.
fn each_row(
    path: &Path,
    header: Option<&[&str]>,
    mut take: impl FnMut(&StringRecord) -> Result<(), String>,
) -> Result<(), ImportError> {
    let io = |source| ImportError::Io {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let bytes: Box<dyn Read> = if packed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(header.is_some())
        .flexible(header.is_none())
        .from_reader(bytes);
    if let Some(expected) = header {
        let found = reader.headers().map_err(|error| broken(path, error))?;
        let found: Vec<&str> = found
            .iter()
            .map(|name| name.trim_matches('\u{feff}'))
            .collect();
        if !found.starts_with(expected) {
            let problem = format!("columns {found:?}, not {expected:?}");
            return Err(data(path, 1, problem));
        }
    }
    let mut row = StringRecord::new();
    while reader
        .read_record(&mut row)
        .map_err(|error| broken(path, error))?
    {
        let line = row.position().map_or(0, csv::Position::line);
        take(&row).map_err(|problem| data(path, line, problem))?;
    }
    Ok(())
}

fn broken(path: &Path, error: csv::Error) -> ImportError {
    let line = error.position().map_or(0, csv::Position::line);
    let problem = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => ImportError::Io {
            path: path.into(),
            source,
        },
        _ => data(path, line, problem),
    }
}

fn number<T: std::str::FromStr>(row: &StringRecord, column: usize) -> Result<T, String> {
    let text = row
        .get(column)
        .ok_or_else(|| format!("{} columns, at least {}", row.len(), column + 1))?;
    text.trim()
        .parse()
        .map_err(|_| format!("column {}: {text:?} is not a number that fits", column + 1))
}
