//! A day of the small fleet, replayed: what comes of it, the same every time, and taken up after it was killed.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use vpp_dispatch::promises::CONFIDENCES;
use vpp_replay::folder::{self, Batch, FolderError, MARKER_FILE, Options};
use vpp_results::{Summary, read, rows};
use vpp_scenarios::Scenario;

/// The small fleet for some hours, with its event on a time when all aggregators have cycles around it.
fn scenario(hours: u32, dispatch: &str) -> Scenario {
    let text = include_str!("../../../scenarios/fleet-small.toml");
    let text = text
        .replace(
            "duration_minutes = 10",
            &format!("duration_minutes = {}", hours * 60),
        )
        .replace(
            "start_offset_s = 60\nduration_s = 300",
            "start_offset_s = 7200\nduration_s = 3600",
        )
        .replace(
            "start_offset_s = 120\nduration_s = 300",
            "start_offset_s = 9000\nduration_s = 3600",
        )
        .replace(
            "[[event]]\nid = \"dr-1\"",
            &format!("{dispatch}\n[[event]]\nid = \"dr-1\""),
        );
    Scenario::parse(&text).expect("a sound scenario")
}

/// Enough to make V2G worth its wear.
const SUBSIDY: &str = "[subsidy]\ndischarge_cny_per_kwh = 1.5\nbudget_cny = 60\n";

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (name, std::fs::read(path).expect("a file"))
    };
    entries.map(file).collect()
}

fn replay_on(threads: usize, scenario: &Scenario, folder: &Path) -> Summary {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads")
        .install(|| folder::replay(scenario, folder, Options::default(), |_| ()))
        .expect("replayed")
}

/// All files of a run on so many threads each, and what came of it.
fn same_on(threads: &[usize], scenario: &Scenario) -> (BTreeMap<String, Vec<u8>>, Summary) {
    let runs = threads.iter().map(|&threads| {
        let folder = tempfile::tempdir().expect("a folder");
        let summary = replay_on(threads, scenario, folder.path());
        (files(folder.path()), summary)
    });
    let same = runs.reduce(|(first, summary), (other, _)| {
        assert!(first.keys().eq(other.keys()), "{:?}", other.keys());
        for (name, bytes) in &first {
            assert!(*bytes == other[name], "{name} differs");
        }
        (first, summary)
    });
    same.expect("threads")
}

#[test]
fn two_runs_give_the_same_bytes_on_however_many_threads() {
    let scenario = scenario(6, "[dispatch]\norderly = \"all\"\n");
    let (files, _) = same_on(&[1, 2], &scenario);
    assert!(files.len() >= 11, "{:?}", files.keys());
}

/// Twelve stations stay on one thread: here are so many that the world, the aggregators and the optimizer hand parts of them to
/// others, in a plan, in an event and while some follow a signal.
#[test]
fn what_threads_share_out_is_the_same_on_however_many() {
    const HOMES: &str = r#"
generate = [
  {
    id = "homes", stations = 150, profile = "private",
    ac = [4, 8, 20], dc = [0, 0, 2], v2g_share_ac = 0.3, regulates_share = 0.3,
    aggregators = { agg-a = 0.5, agg-b = 0.5 },
    place = [[113.2, 23.0], [113.6, 23.3]],
    grid = { stations_per_feeder = 10, base_load_kw = 100, feeder_share = 0.8, export_share = 0.4 },
  },
]
"#;
    let quarters = ["15"; 28].join(", ");
    let dispatch = format!("[dispatch]\norderly = \"all\"\nhorizon_minutes = [{quarters}]\n");
    let text = include_str!("../../../scenarios/fleet-small.toml");
    let text = text
        .replace("duration_minutes = 10", "duration_minutes = 60")
        .replace(
            "start_offset_s = 60\nduration_s = 300\nreduction_kw = 300",
            "start_offset_s = 900\nduration_s = 1800\nreduction_kw = 400",
        )
        .replace(
            "[[event]]\nid = \"dr-1\"",
            &format!("{dispatch}\n[[event]]\nid = \"dr-1\""),
        )
        .replace(
            "[fleet]\nprofile = \"public\"\n",
            &format!("[fleet]\nprofile = \"public\"{HOMES}"),
        );
    let scenario = Scenario::parse(&text).expect("a sound scenario");
    let fleet = scenario.fleet().expect("a fleet");
    // From 4,000 on, the optimizer shares out what each does alone.
    assert!(fleet.stations().len() * scenario.dispatch.horizon_minutes.len() > 4_000);
    for aggregator in fleet.aggregators() {
        let theirs = fleet
            .stations()
            .iter()
            .filter(|station| station.aggregator == aggregator.id);
        // Twice what one thread takes at the least.
        assert!(theirs.count() >= 64);
    }
    let (_, summary) = same_on(&[1, 2, 5], &scenario);
    assert!(summary.events.promised_kwh > 10.0, "{:?}", summary.events);
    assert!(
        summary
            .regulation
            .is_some_and(|regulation| regulation.values > 10)
    );
}

#[test]
fn the_tables_of_a_day_agree_with_each_other() {
    let scenario = scenario(24, &format!("[dispatch]\norderly = \"all\"\n{SUBSIDY}"));
    let folder = tempfile::tempdir().expect("a folder");
    let summary =
        folder::replay(&scenario, folder.path(), Options::default(), |_| ()).expect("replayed");
    let system = read::<rows::System>(folder.path()).expect("a table");
    assert_eq!(system.start.len(), 96);
    let days = read::<rows::StationDay>(folder.path()).expect("a table");
    // From four in the afternoon to four in the afternoon: two local days of twelve stations.
    assert_eq!(days.day.len(), 24);
    let by_day: f64 = (days.import_sharp_kwh.iter())
        .chain(&days.import_peak_kwh)
        .chain(&days.import_flat_kwh)
        .chain(&days.import_valley_kwh)
        .sum();
    let drawn: f64 = system.import_kwh.iter().sum();
    assert!(drawn > 5_000.0, "{drawn}");
    assert!((drawn - by_day).abs() < 1e-6 * drawn, "{drawn} {by_day}");
    let aggregators = read::<rows::Aggregator>(folder.path()).expect("a table");
    let theirs: f64 = aggregators.import_kwh.iter().sum();
    assert!((drawn - theirs).abs() < 1e-6 * drawn, "{drawn} {theirs}");
    assert_eq!(summary.limits.violations, 0, "{summary:?}");
    assert!(summary.vehicles.arrivals > 200, "{summary:?}");
    let short = summary.vehicles.short_departures * 8;
    assert!(
        short < summary.vehicles.departures,
        "{:?}",
        summary.vehicles
    );
    let causes = summary.vehicles.short_causes.named();
    let explained: u64 = causes.iter().map(|(_, count)| count).sum();
    assert_eq!(explained, summary.vehicles.short_departures, "{causes:?}");
    let events = read::<rows::Event>(folder.path()).expect("a table");
    assert!(
        events.event.iter().any(|event| &**event == "dr-1"),
        "{:?}",
        events.event
    );
    assert!(summary.events.promised_kwh > 10.0, "{:?}", summary.events);
    // Orderly by price costs less for each kWh, and takes more out of the dear hours than comes by chance.
    let plain = tempfile::tempdir().expect("a folder");
    let plain = folder::replay(
        &crate::scenario(24, ""),
        plain.path(),
        Options::default(),
        |_| (),
    );
    let plain = plain.expect("replayed");
    let price = |summary: &Summary| summary.money.energy_cost_cny / summary.energy.import_kwh;
    assert!(
        price(&summary) < 0.995 * price(&plain),
        "{} {}",
        price(&summary),
        price(&plain)
    );
    // The award of the file lasts a minute and a half.
    assert!(
        summary
            .regulation
            .is_some_and(|regulation| regulation.values > 10)
    );
}

/// Of each instant the same is promised with every confidence with which the engine promises, and the report shows each.
#[test]
fn a_report_shows_promises_of_every_confidence() {
    let scenario = scenario(24, "[dispatch]\ncycle_s = 900\nstep_s = 300\n");
    let folder = tempfile::tempdir().expect("a folder");
    let summary = folder::replay(&scenario, folder.path(), Options::default(), |_| ());
    let promises = read::<rows::Promise>(folder.path()).expect("a table");
    assert!(!promises.confidence.is_empty());
    assert!(
        promises
            .promised_kw
            .iter()
            .all(|kilowatts| *kilowatts > 0.0)
    );
    let same = |one: usize, next: usize| {
        promises.time[one] == promises.time[next]
            && promises.aggregator[one] == promises.aggregator[next]
            && promises.direction[one] == promises.direction[next]
    };
    let rows: Vec<usize> = (0..promises.time.len()).collect();
    for rows in rows.chunk_by(|one, next| same(*one, *next)) {
        // The surer the less: all of them are of the first day, on which nothing has been learnt from. Of the surest may be none.
        let confidences: Vec<f64> = rows.iter().map(|row| promises.confidence[*row]).collect();
        assert_eq!(confidences, CONFIDENCES[..rows.len()]);
        let promised: Vec<f64> = rows.iter().map(|row| promises.promised_kw[*row]).collect();
        assert!(
            promised.is_sorted_by(|one, surer| one >= surer),
            "{promised:?}"
        );
    }
    // The summary speaks of those of 95 % alone.
    let counted = summary.expect("replayed").reliability.expect("promises");
    let stated = promises.confidence.iter();
    let stated = stated.filter(|confidence| (**confidence - 0.95).abs() < 1e-9);
    assert_eq!(counted.promises, stated.count() as u64);
    assert!((counted.stated_share - 0.95).abs() < 1e-12, "{counted:?}");
    let html = std::fs::read_to_string(folder.path().join("report.html")).expect("a report");
    let (_, shown) = html.split_once("\"reliability\":[").expect("a diagram");
    let (shown, _) = shown.split_once(']').expect("its end");
    for confidence in CONFIDENCES {
        let stated = format!("\"stated\":{confidence},");
        assert!(shown.contains(&stated), "{confidence} in {shown}");
    }
}

#[test]
fn long_steps_come_to_what_steps_of_a_second_come_to() {
    let drawn = |dispatch: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let scenario = scenario(24, dispatch);
        let summary = folder::replay(&scenario, folder.path(), Options::default(), |_| ());
        let summary = summary.expect("replayed");
        assert_eq!(summary.limits.violations, 0, "{summary:?}");
        (summary.energy.import_kwh, summary.vehicles.arrivals)
    };
    let (long, came) = drawn("[dispatch]\ncycle_s = 900\nstep_s = 300\n");
    let (short, came_too) = drawn("[dispatch]\ncycle_s = 900\nstep_s = 1\n");
    // Both warm up in their own steps, so that one or the other finds its pile taken.
    assert!(came.abs_diff(came_too) * 33 <= came, "{came} {came_too}");
    // In the events who comes within a long step is let charge at once if it is urgent, and at the next look if it is not: up to
    // five minutes sooner or later.
    assert!((long - short).abs() < 0.03 * short, "{long} {short}");
}

#[test]
fn a_folder_is_taken_up_again_and_nobody_elses_is_touched() {
    let first = scenario(4, "");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let all = Options::default();
    let forced = Options { force: true, ..all };
    folder::replay(&first, path, all, |_| ()).expect("replayed");
    let whole = files(path);
    assert!(!whole.contains_key(MARKER_FILE));
    let again = folder::replay(&first, path, all, |_| ());
    assert!(
        matches!(again, Err(FolderError::HoldsResults(_))),
        "{again:?}"
    );
    assert_eq!(files(path), whole, "nothing is touched");
    folder::replay(&first, path, forced, |_| ()).expect("replaced");
    assert_eq!(files(path), whole);

    // As one left it that was killed before it had written whose folder it is.
    let other = scenario(5, "");
    std::fs::write(path.join(MARKER_FILE), "").expect("written");
    let refused = folder::replay(&other, path, all, |_| ());
    assert!(
        matches!(refused, Err(FolderError::HoldsResults(_))),
        "{refused:?}"
    );

    // As one that was killed left it.
    std::fs::remove_file(path.join("summary.json")).expect("there");
    std::fs::write(path.join(MARKER_FILE), b"0123\xff").expect("written");
    std::fs::write(path.join("system.parquet.part"), "half").expect("written");
    let refused = folder::replay(&other, path, all, |_| ());
    assert!(
        matches!(refused, Err(FolderError::HoldsAnother(_))),
        "{refused:?}"
    );
    let until = Options {
        until: Some(other.start() + TimeDelta::hours(2)),
        ..forced
    };
    folder::replay(&other, path, until, |_| ()).expect("replaced");
    assert!(files(path).keys().all(|name| !name.ends_with(".part")));

    let foreign = tempfile::tempdir().expect("a folder");
    std::fs::write(foreign.path().join("thesis.txt"), "mine").expect("written");
    let refused = folder::replay(&first, foreign.path(), forced, |_| ());
    assert!(
        matches!(refused, Err(FolderError::HoldsOther(_))),
        "{refused:?}"
    );
    assert_eq!(files(foreign.path()).len(), 1);
}

/// Of several scenarios one was whole when the program was killed. What somebody put into its folder since is not taken for that.
#[test]
fn what_replaced_the_results_of_one_of_several_is_not_taken_for_them() {
    let mut first = scenario(4, "");
    first.header.name = "first".into();
    let mut second = scenario(4, "");
    second.header.name = "second".into();
    let folder = tempfile::tempdir().expect("a folder");
    let all = Options::default();
    let runs = [(&first, all), (&second, all)];
    let mut batch = Batch::open(folder.path(), &runs, false).expect("empty");
    let summary = batch.replay(0, &first, |_| ()).expect("replayed");
    drop(batch);
    let taken_up = Batch::open(folder.path(), &runs, false).expect("taken up");
    let known = taken_up.known(0, &first).expect("read");
    assert_eq!(known, Some(summary));
    assert_eq!(taken_up.known(1, &second).expect("read"), None);
    drop(taken_up);
    let shorter = Options {
        until: Some(first.start() + TimeDelta::minutes(30)),
        force: true,
        ..all
    };
    let path = folder.path().join("first");
    folder::replay(&first, &path, shorter, |_| ()).expect("replaced");
    let refused = Batch::open(folder.path(), &runs, false);
    assert!(
        matches!(refused, Err(FolderError::HoldsResults(_))),
        "{refused:?}"
    );
}
