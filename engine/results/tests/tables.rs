//! Tables are written whole or not at all, read back as they were, and nothing else is taken for one.

use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta};
use proptest::prelude::*;
use vpp_results::rows::{Alarm, Promise, Station, StationDay, System, SystemColumns};
use vpp_results::schema::Row;
use vpp_results::{Error, GROUP_ROWS, Header, Reader, Summary, Tables, Timestamp, Writer, read};

fn at(minute: i64) -> Timestamp {
    DateTime::from_timestamp(1_752_566_400, 0).expect("an instant") + TimeDelta::minutes(minute)
}

fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = files
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever finite values a row has, they come back as the very same bits.
    #[test]
    fn rows_come_back(rows in prop::collection::vec(
        (0_i64..500_000, any::<f64>().prop_filter("finite", |value| value.is_finite()), prop::option::of(-1e9..1e9_f64),
            0..u64::from(u32::MAX), "\\PC{0,12}"), 0..40)
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = Writer::<System>::create(folder.path()).expect("begun");
        let mut expected = SystemColumns::default();
        for (minute, power, price, commands, decision) in rows {
            let row = System {
                start: at(minute), power_kw: power, energy_price_cny_per_kwh: price, commands,
                decision: decision.as_str().into(), ..System::default()
            };
            expected.start.push(row.start);
            expected.power_kw.push(row.power_kw);
            expected.energy_price_cny_per_kwh.push(price);
            expected.commands.push(commands);
            expected.decision.push(row.decision.clone());
            writer.push(row).expect("taken");
        }
        writer.finish().expect("whole");
        let found: SystemColumns = read::<System>(folder.path()).expect("read");
        prop_assert_eq!(found.start, expected.start);
        prop_assert!(found.power_kw.iter().map(|value| value.to_bits()).eq(expected.power_kw.iter().map(|value| value.to_bits())));
        prop_assert_eq!(found.energy_price_cny_per_kwh, expected.energy_price_cny_per_kwh);
        prop_assert_eq!(found.commands, expected.commands);
        prop_assert_eq!(found.decision, expected.decision);
    }
}

#[test]
fn dates_flags_and_missing_values_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tables = Tables::create(folder.path()).expect("begun");
    let day = NaiveDate::from_ymd_opt(2025, 7, 15).expect("a day");
    tables
        .station_days
        .push(StationDay {
            day,
            arrivals: 3,
            ..StationDay::default()
        })
        .expect("taken");
    for (kept, setpoint) in [(true, None), (false, Some(-7.5)), (true, Some(0.0))] {
        tables
            .promises
            .push(Promise {
                kept,
                ..Promise::default()
            })
            .expect("taken");
        tables
            .stations
            .push(Station {
                setpoint_kw: setpoint,
                ..Station::default()
            })
            .expect("taken");
    }
    tables.finish().expect("whole");
    assert_eq!(read::<StationDay>(folder.path()).expect("read").day, [day]);
    assert_eq!(
        read::<Promise>(folder.path()).expect("read").kept,
        [true, false, true]
    );
    assert_eq!(
        read::<Station>(folder.path()).expect("read").setpoint_kw,
        [None, Some(-7.5), Some(0.0)]
    );
    assert!(read::<Alarm>(folder.path()).expect("read").time.is_empty());
}

#[test]
fn rows_are_read_and_written_a_group_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::<Alarm>::create(folder.path()).expect("begun");
    for row in 0..=GROUP_ROWS {
        let text = format!("alarm {row}").into();
        writer
            .push(Alarm {
                text,
                ..Alarm::default()
            })
            .expect("taken");
    }
    writer.finish().expect("whole");
    let mut reader = Reader::<Alarm>::open(folder.path()).expect("whole");
    assert_eq!(reader.rows(), GROUP_ROWS as u64 + 1);
    let group = reader.next_group().expect("read").expect("a group");
    assert_eq!(group.text.len(), GROUP_ROWS);
    let group = reader.next_group().expect("read").expect("a group");
    assert_eq!(*group.text[0], *format!("alarm {GROUP_ROWS}"));
    assert!(reader.next_group().expect("read").is_none());
}

/// Tables that were paused now and then, and taken up by others, come to the same bytes; what was not paused is forgotten.
#[test]
fn paused_tables_come_to_the_same_bytes() {
    let row = |number: usize| Alarm {
        text: format!("alarm {}", number * 7 % 1_000).into(),
        ..Alarm::default()
    };
    let whole = tempfile::tempdir().expect("a folder");
    let mut tables = Tables::create(whole.path()).expect("begun");
    let all = 3 * GROUP_ROWS + 100;
    for number in 0..all {
        tables.alarms.push(row(number)).expect("taken");
    }
    tables.finish().expect("whole");
    for stops in [
        vec![10],
        vec![GROUP_ROWS, 2 * GROUP_ROWS + 7],
        vec![5, GROUP_ROWS + 5, 3 * GROUP_ROWS, all],
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tables = Tables::create(folder.path()).expect("begun");
        let mut at = 0;
        for stop in stops {
            for number in at..stop {
                tables.alarms.push(row(number)).expect("taken");
            }
            at = stop;
            let paused = tables.pause().expect("paused");
            // It goes on, is paused without anybody's noting it, and is killed.
            for number in stop..stop + GROUP_ROWS {
                tables.alarms.push(row(number)).expect("taken");
            }
            tables.pause().expect("paused");
            drop(tables);
            tables = Tables::resume(folder.path(), paused).expect("taken up");
        }
        for number in at..all {
            tables.alarms.push(row(number)).expect("taken");
        }
        tables.finish().expect("whole");
        Tables::remove_pieces(folder.path()).expect("removed");
        assert_eq!(names(folder.path()), names(whole.path()));
        for name in names(whole.path()) {
            let read = |folder: &Path| std::fs::read(folder.join(&name)).expect("read");
            assert!(read(folder.path()) == read(whole.path()), "{name} differs");
        }
    }
}

/// Of tables a piece of which is gone, cut or damaged, nothing is taken up.
#[test]
fn a_piece_that_is_not_whole_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tables = Tables::create(folder.path()).expect("begun");
    for _ in 0..GROUP_ROWS {
        tables.alarms.push(Alarm::default()).expect("taken");
    }
    let paused = tables.pause().expect("paused");
    drop(tables);
    let piece = folder.path().join("alarms.parquet.part-0");
    let bytes = std::fs::read(&piece).expect("a piece");
    for length in [bytes.len() / 2, 0] {
        std::fs::write(&piece, &bytes[..length]).expect("cut");
        assert!(
            Tables::resume(folder.path(), paused.clone()).is_err(),
            "{length}"
        );
    }
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    std::fs::write(&piece, flipped).expect("damaged");
    assert!(Tables::resume(folder.path(), paused.clone()).is_err());
    std::fs::remove_file(&piece).expect("removed");
    assert!(Tables::resume(folder.path(), paused.clone()).is_err());
    std::fs::write(&piece, &bytes).expect("whole again");
    Tables::resume(folder.path(), paused).expect("taken up");
}

#[test]
fn two_runs_give_the_same_bytes() {
    let write = || {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tables = Tables::create(folder.path()).expect("begun");
        for minute in 0..100 {
            tables
                .system
                .push(System {
                    start: at(minute),
                    power_kw: 0.1,
                    ..System::default()
                })
                .expect("taken");
        }
        tables.finish().expect("whole");
        Summary::derive(folder.path(), Header::default())
            .expect("tables")
            .write(folder.path())
            .expect("written");
        let read = |name: &String| std::fs::read(folder.path().join(name)).expect("there");
        names(folder.path())
            .iter()
            .map(|name| (name.clone(), read(name)))
            .collect::<Vec<_>>()
    };
    assert_eq!(write(), write());
}

#[test]
fn what_is_not_finished_is_no_table_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tables = Tables::create(folder.path()).expect("begun");
    tables.alarms.push(Alarm::default()).expect("taken");
    assert!(matches!(
        read::<Alarm>(folder.path()),
        Err(Error::Io { .. })
    ));
    drop(tables);
    assert_eq!(names(folder.path()), Vec::<String>::new());

    // A second run that fails leaves the first as it was.
    let mut first = Tables::create(folder.path()).expect("begun");
    first.alarms.push(Alarm::default()).expect("taken");
    first.finish().expect("whole");
    let mut second = Tables::create(folder.path()).expect("begun");
    let error = second
        .system
        .push(System {
            power_kw: f64::NAN,
            ..System::default()
        })
        .expect_err("no number");
    assert_eq!(
        error.to_string(),
        "table `system`, column `power_kw`: NaN is no finite number"
    );
    assert!(second.finish().is_err());
    assert_eq!(
        read::<Alarm>(folder.path())
            .expect("the first run's")
            .time
            .len(),
        1
    );
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.ends_with(".part"))
    );
}

#[test]
fn a_new_run_takes_the_old_summary_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    Tables::create(folder.path())
        .expect("begun")
        .finish()
        .expect("whole");
    Summary::derive(folder.path(), Header::default())
        .expect("tables")
        .write(folder.path())
        .expect("written");
    assert!(Summary::read(folder.path()).is_ok());
    Tables::create(folder.path())
        .expect("begun")
        .finish()
        .expect("whole");
    let error = Summary::read(folder.path()).expect_err("the run is not whole yet");
    assert!(
        error.to_string().contains("summary.json: No such file"),
        "{error}"
    );
}

#[test]
fn files_cut_short_are_errors_with_their_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::<Alarm>::create(folder.path()).expect("begun");
    for row in 0..50 {
        let text = format!("alarm {row}").into();
        writer
            .push(Alarm {
                text,
                time: at(row),
                ..Alarm::default()
            })
            .expect("taken");
    }
    writer.finish().expect("whole");
    let path = folder.path().join("alarms.parquet");
    let whole = std::fs::read(&path).expect("there");
    for length in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..length]).expect("written");
        let error = read::<Alarm>(folder.path()).expect_err("cut short");
        assert!(matches!(error, Error::Parquet { .. }), "{length}: {error}");
        assert!(
            error
                .to_string()
                .contains("alarms.parquet: not a whole Parquet file"),
            "{error}"
        );
    }
}

/// Whichever byte is damaged, the table is read or refused, with its path; never anything else.
#[test]
fn files_with_a_damaged_byte_are_read_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = Writer::<System>::create(folder.path()).expect("begun");
    for minute in 0..200_u32 {
        let row = System {
            start: at(minute.into()),
            power_kw: f64::from(minute * minute % 97),
            decision: ["optimal", "hold"][minute as usize % 2].into(),
            ..System::default()
        };
        writer.push(row).expect("taken");
    }
    writer.finish().expect("whole");
    let path = folder.path().join("system.parquet");
    let whole = std::fs::read(&path).expect("there");
    let mut refused = 0;
    for at in (0..whole.len()).step_by(7) {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            std::fs::write(&path, &damaged).expect("written");
            if let Err(error) = read::<System>(folder.path()) {
                let text = error.to_string();
                assert!(text.contains("system.parquet"), "byte {at}: {text}");
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn another_table_and_another_version_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    Writer::<Promise>::create(folder.path())
        .expect("begun")
        .finish()
        .expect("whole");
    let path = folder.path().join("alarms.parquet");
    std::fs::rename(folder.path().join("promises.parquet"), &path).expect("renamed");
    let error = read::<Alarm>(folder.path()).expect_err("another table");
    assert!(
        error.to_string().ends_with(
            "alarms.parquet: not the table `alarms` of a run: it is the table `promises`"
        ),
        "{error}"
    );

    // Parquet of somebody else, with the right columns but without our mark; of a later version; with other columns.
    let own = [("vpp.table", "alarms"), ("vpp.format", "1")];
    let later = [("vpp.table", "alarms"), ("vpp.format", "2")];
    for (about, columns, expected) in [
        (&own[..0], 4, "it names no table"),
        (
            &later[..],
            4,
            "written in format 2, this program reads format 1",
        ),
        (&own[..], 3, "column 4 is nothing, not `text`"),
        (&own[..], 4, ""),
    ] {
        use vpp_results::sheet;
        let types = Alarm::TABLE.fields.iter().take(columns);
        let types = types.map(|field| {
            sheet::column_type(field.name, field.kind, field.nullable).expect("a type")
        });
        let about = about
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let file = std::fs::File::create(&path).expect("a file");
        let file = sheet::create(file, types.collect(), about.collect()).expect("begun");
        file.close().expect("whole");
        match read::<Alarm>(folder.path()) {
            Ok(_) => assert_eq!(expected, ""),
            Err(error) => assert!(
                !expected.is_empty() && error.to_string().contains(expected),
                "{error}"
            ),
        }
    }
}

#[test]
fn a_summary_of_another_shape_is_an_error_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |text: &str| std::fs::write(folder.path().join("summary.json"), text).expect("written");
    write("{\n  \"format\": 1,\n  \"scenario\": 7\n}\n");
    let error = Summary::read(folder.path()).expect_err("another shape");
    assert!(
        error
            .to_string()
            .contains("summary.json: line 3, column 15: "),
        "{error}"
    );
    write("{ \"format\": 2, \"new\": {} }");
    let error = Summary::read(folder.path()).expect_err("a later version");
    assert!(error.to_string().contains("written in format 2"), "{error}");
    write("{ \"format\": 1");
    assert!(matches!(
        Summary::read(folder.path()),
        Err(Error::Json { .. })
    ));
}

/// Whoever was killed while it removed them has left some: they go, and nothing else.
#[test]
fn pieces_are_removed_whichever_are_left() {
    use std::os::unix::ffi::OsStrExt as _;
    let not_text = std::ffi::OsStr::from_bytes(b"\xff");
    let mut folder = tempfile::Builder::new();
    let folder = folder.prefix(not_text).tempdir().expect("a folder");
    let make = |name: &str| std::fs::write(folder.path().join(name), "x").expect("made");
    let kept = ["nodes.parquet", "nodes.parquet.part-x", "notes.part-3"];
    kept.into_iter().for_each(make);
    ["alarms.parquet.part-1", "nodes.parquet.part-12"]
        .into_iter()
        .for_each(make);
    Tables::remove_pieces(folder.path()).expect("removed");
    assert_eq!(names(folder.path()), kept);
}
