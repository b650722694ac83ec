//! A file of meter readings, station by station: one station's at a time, so that its size does not matter.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use chrono::{LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use csv::ByteRecord;
use vpp_core::{StationId, Timestamp};
use vpp_settlement::metering::{Reading, Readings, Taken};

/// The columns, in this order.
const COLUMNS: [&str; 7] = [
    "station",
    "start",
    "gate_in_wh",
    "gate_out_wh",
    "pile_discharge_wh",
    "sun_out_wh",
    "storage_out_wh",
];

/// Readings of a station, as they stood in the file.
pub(crate) struct StationReadings {
    pub(crate) station: StationId,
    rows: Vec<(Timestamp, Reading)>,
    /// Line of the first.
    line: u64,
}

impl StationReadings {
    /// The readings, each checked.
    pub(crate) fn take(&self) -> anyhow::Result<Readings> {
        let mut readings = Readings::default();
        for (line, (at, reading)) in (self.line..).zip(&self.rows) {
            let taken = readings.take(*at, *reading);
            let taken = taken.map_err(anyhow::Error::from);
            anyhow::ensure!(
                taken.with_context(|| format!("line {line}"))? == Taken::New,
                "line {line}: {} has another reading of the same quarter of an hour",
                self.station
            );
        }
        Ok(readings)
    }
}

/// The file as it is read.
pub(crate) struct Meters<R> {
    reader: csv::Reader<R>,
    zone: Tz,
    record: ByteRecord,
    /// The first row of the next station.
    next: Option<(StationId, Timestamp, Reading)>,
    seen: BTreeSet<StationId>,
    /// What the start of an hour is, and which that was: most rows are of the same.
    hour: Option<(NaiveDateTime, Timestamp)>,
    done: bool,
}

impl Meters<Counted<File>> {
    /// Opens a file. `progress` is told how many bytes were read.
    pub(crate) fn open(
        path: &Path,
        zone: Tz,
        progress: impl Fn(u64) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        Meters::new(
            Counted {
                inner: file,
                progress: Box::new(progress),
            },
            zone,
        )
    }
}

impl<R: Read> Meters<R> {
    fn new(input: R, zone: Tz) -> anyhow::Result<Meters<R>> {
        let mut reader = csv::ReaderBuilder::new()
            .buffer_capacity(1 << 18)
            .from_reader(input);
        let header = reader.headers()?;
        anyhow::ensure!(
            header.iter().map(str::trim).eq(COLUMNS),
            "line 1: the columns must be {}",
            COLUMNS.join(",")
        );
        Ok(Meters {
            reader,
            zone,
            record: ByteRecord::new(),
            next: None,
            seen: BTreeSet::new(),
            hour: None,
            done: false,
        })
    }

    /// All readings of the next station.
    fn station(&mut self) -> anyhow::Result<Option<StationReadings>> {
        let Some((station, at, reading)) = self
            .next
            .take()
            .map_or_else(|| self.row(None), |row| Ok(Some(row)))?
        else {
            return Ok(None);
        };
        let line = self.record.position().map_or(0, csv::Position::line);
        anyhow::ensure!(
            self.seen.insert(station.clone()),
            "line {line}: {station} was there before: the rows must be sorted by station"
        );
        let mut rows = vec![(at, reading)];
        loop {
            match self.row(Some(&station))? {
                Some((same, at, reading)) if same == station => rows.push((at, reading)),
                next => {
                    self.next = next;
                    return Ok(Some(StationReadings {
                        station,
                        rows,
                        line,
                    }));
                }
            }
        }
    }

    fn row(
        &mut self,
        last: Option<&StationId>,
    ) -> anyhow::Result<Option<(StationId, Timestamp, Reading)>> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let line = || {
            let line = self.record.position().map_or(0, csv::Position::line);
            format!("line {line}")
        };
        // An id is checked once for all of its rows.
        let station = match last {
            Some(last) if last.as_str().as_bytes() == &self.record[0] => last.clone(),
            _ => {
                let text = std::str::from_utf8(&self.record[0]).with_context(line)?;
                text.parse()
                    .map_err(anyhow::Error::from)
                    .with_context(line)?
            }
        };
        let number = |column: usize| {
            let field = &self.record[column];
            whole(field).with_context(|| {
                let text = String::from_utf8_lossy(field);
                format!(
                    "{}: {}: {text:?} is no whole number",
                    line(),
                    COLUMNS[column]
                )
            })
        };
        let reading = Reading {
            gate_in_wh: number(2)?,
            gate_out_wh: number(3)?,
            pile_discharge_wh: number(4)?,
            sun_out_wh: number(5)?,
            storage_out_wh: number(6)?,
        };
        let start = start(&self.record[1]).with_context(|| {
            let text = String::from_utf8_lossy(&self.record[1]);
            format!(
                "{}: start: {text:?} is no local time such as 2027-07-01T00:15, nor one with an offset, such as \
                 2027-07-01T00:15+08:00",
                line()
            )
        })?;
        let Start {
            hour,
            minutes,
            offset,
        } = start;
        let begins = match (offset, self.hour) {
            (Some(offset), _) => hour.and_utc() - offset,
            (None, Some((known, begins))) if known == hour => begins,
            (None, _) => {
                let begins = match hour.and_local_timezone(self.zone) {
                    LocalResult::Single(begins) => begins.to_utc(),
                    LocalResult::None => {
                        anyhow::bail!("{}: there is no {hour}: the clock leaves it out", line())
                    }
                    LocalResult::Ambiguous(first, second) => anyhow::bail!(
                        "{}: the clock shows {hour} twice: write which, {} or {}",
                        line(),
                        first.to_rfc3339(),
                        second.to_rfc3339()
                    ),
                };
                self.hour = Some((hour, begins));
                begins
            }
        };
        Ok(Some((
            station,
            begins + TimeDelta::minutes(minutes),
            reading,
        )))
    }
}

impl<R: Read> Iterator for &mut Meters<R> {
    type Item = anyhow::Result<StationReadings>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let station = self.station().transpose();
        self.done = !matches!(station, Some(Ok(_)));
        station
    }
}

/// A whole number that is not negative and has few enough digits.
fn whole(field: &[u8]) -> Option<i64> {
    if field.is_empty() || field.len() > 15 {
        return None;
    }
    field.iter().try_fold(0_i64, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

/// When a quarter of an hour begins, as it is written.
struct Start {
    hour: NaiveDateTime,
    minutes: i64,
    /// Ahead of UTC by so much; none where it is not written, and the file's zone is meant.
    offset: Option<TimeDelta>,
}

/// `2027-07-01T00:15`, perhaps with `Z`, `:00`, `+08:00` after it.
fn start(field: &[u8]) -> Option<Start> {
    let number = |digits: &[u8]| whole(digits).and_then(|number| u32::try_from(number).ok());
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        n0,
        n1,
        rest @ ..,
    ] = field
    else {
        return None;
    };
    let year = i32::try_from(number(&[*y0, *y1, *y2, *y3])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[*m0, *m1])?, number(&[*d0, *d1])?)?;
    let hour = date.and_time(NaiveTime::from_hms_opt(number(&[*h0, *h1])?, 0, 0)?);
    let minutes = number(&[*n0, *n1])?;
    let offset = match rest.strip_prefix(b":00").unwrap_or(rest) {
        [] => None,
        [b'Z'] => Some(TimeDelta::zero()),
        [sign @ (b'+' | b'-'), h0, h1, b':', n0, n1] => {
            let (hours, minutes) = (number(&[*h0, *h1])?, number(&[*n0, *n1])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = i64::from(60 * hours + minutes);
            Some(TimeDelta::minutes(if *sign == b'-' {
                -minutes
            } else {
                minutes
            }))
        }
        _ => return None,
    };
    (minutes < 60).then_some(Start {
        hour,
        minutes: i64::from(minutes),
        offset,
    })
}

/// What is read is counted.
pub(crate) struct Counted<R> {
    inner: R,
    progress: Box<dyn Fn(u64) + Send>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.progress)(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Tz = chrono_tz::Asia::Shanghai;

    fn read(text: &str) -> Result<Vec<(String, usize)>, String> {
        read_in(ZONE, text)
    }

    fn read_in(zone: Tz, text: &str) -> Result<Vec<(String, usize)>, String> {
        let mut meters = Meters::new(text.as_bytes(), zone).map_err(|e| format!("{e:#}"))?;
        let mut found = Vec::new();
        for station in &mut meters {
            let station = station.map_err(|e| format!("{e:#}"))?;
            station.take().map_err(|e| format!("{e:#}"))?;
            found.push((station.station.to_string(), station.rows.len()));
        }
        Ok(found)
    }

    fn with(rows: &str) -> String {
        format!("{}\n{rows}", COLUMNS.join(","))
    }

    #[test]
    fn stations_come_one_by_one() {
        let text = with(
            "b,2027-07-01T00:00,1,2,3,4,5\nb,2027-07-01T00:15,1,2,3,4,5\na,2027-07-01T23:45,0,0,0,0,0\n",
        );
        assert_eq!(read(&text), Ok(vec![("b".into(), 2), ("a".into(), 1)]));
        let mut meters = Meters::new(text.as_bytes(), ZONE).expect("a header");
        let first = (&mut meters).next().expect("there").expect("sound");
        assert_eq!(first.rows[1].0.to_rfc3339(), "2027-06-30T16:15:00+00:00");
        assert_eq!(first.rows[0].1.storage_out_wh, 5);
        assert_eq!(read(&with("")), Ok(Vec::new()));
    }

    /// Berlin's clock shows the hour from 2 to 3 twice on 31 October 2027, and not at all on 28 March.
    #[test]
    fn an_hour_that_comes_twice_is_told_apart_by_its_offset() {
        let berlin = chrono_tz::Europe::Berlin;
        let row = |start: &str| with(&format!("a,{start},1,2,3,4,5\n"));
        let refused = read_in(berlin, &row("2027-10-31T02:15")).expect_err("twice");
        let expected = "the clock shows 2027-10-31 02:00:00 twice: write which, 2027-10-31T02:00:00+02:00 or \
                        2027-10-31T02:00:00+01:00";
        assert!(refused.contains(expected), "{refused}");
        let refused = read_in(berlin, &row("2027-03-28T02:15")).expect_err("never");
        assert!(refused.contains("the clock leaves it out"), "{refused}");
        let text = with(
            "a,2027-10-31T01:45,1,2,3,4,5\na,2027-10-31T02:00:00+02:00,1,2,3,4,5\n\
             a,2027-10-31T02:00+01:00,1,2,3,4,5\na,2027-10-31T02:00Z,1,2,3,4,5\n",
        );
        assert_eq!(read_in(berlin, &text), Ok(vec![("a".into(), 4)]));
        let mut meters = Meters::new(text.as_bytes(), berlin).expect("a header");
        let rows = (&mut meters).next().expect("there").expect("sound").rows;
        let hours = rows.iter().map(|(at, _)| at.format("%d %H:%M").to_string());
        assert_eq!(
            hours.collect::<Vec<_>>(),
            ["30 23:45", "31 00:00", "31 01:00", "31 02:00"]
        );
    }

    #[test]
    fn what_is_no_reading_is_told_by_line() {
        let table = [
            (
                with("a,2027-07-01T00:00,1,2,3,4,5\na,2027-07-01T00:00,9,2,3,4,5\n"),
                "line 3: a has another reading of the same quarter",
            ),
            (
                "station,start\n".to_owned(),
                "line 1: the columns must be station,start,gate_in_wh",
            ),
            (
                with("a,2027-07-01T00:00,1,2,3,4\n"),
                "found record with 6 fields",
            ),
            (
                with("a,2027-07-01T00:00,1,2,3,4,x\n"),
                "line 2: storage_out_wh: \"x\" is no whole number",
            ),
            (
                with("a,2027-07-01T00:00,-1,2,3,4,5\n"),
                "line 2: gate_in_wh: \"-1\" is no whole number",
            ),
            (
                with("a,2027-07-01T00:00,1234567890123456,2,3,4,5\n"),
                "is no whole number",
            ),
            (
                with("a,2027-07-01 00:00,1,2,3,4,5\n"),
                "line 2: start: \"2027-07-01 00:00\" is no local time",
            ),
            (with("a,2027-02-30T00:00,1,2,3,4,5\n"), "is no local time"),
            (with("a,2027-07-01T00:60,1,2,3,4,5\n"), "is no local time"),
            (
                with("a,2027-07-01T00:00+24:00,1,2,3,4,5\n"),
                "is no local time",
            ),
            (
                with("a,2027-07-01T00:00:30,1,2,3,4,5\n"),
                "is no local time",
            ),
            (with("a b,2027-07-01T00:00,1,2,3,4,5\n"), "line 2: "),
            (
                with("a,2027-07-01T00:07,1,2,3,4,5\n"),
                "does not begin a quarter of an hour",
            ),
            (
                with(
                    "a,2027-07-01T00:00,1,2,3,4,5\nb,2027-07-01T00:00,1,2,3,4,5\na,2027-07-01T00:15,1,2,3,4,5\n",
                ),
                "a was there before: the rows must be sorted by station",
            ),
        ];
        for (text, expected) in table {
            let error = read(&text).expect_err(expected);
            assert!(error.contains(expected), "{error}\nexpected: {expected}");
        }
    }
}
