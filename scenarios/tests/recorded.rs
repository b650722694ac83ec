//! Scenarios whose vehicles are recorded: the table, what is refused in it, and who comes.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::PathBuf;

use chrono::TimeDelta;
use tempfile::TempDir;
use vpp_aggregator::Sites as _;
use vpp_core::Telemetry;
use vpp_scenarios::record::{About, Recorder, SCENARIO_FILE, STAYS_FILE, scenario};
use vpp_scenarios::stays::{COLUMNS, to_csv};
use vpp_scenarios::template::Template;
use vpp_scenarios::world::{Tally, World};
use vpp_scenarios::{LoadError, Scenario};

const SMALL: &str = include_str!("../fleet-small.toml");
/// At 8:00 the scenario begins; s-05 has twelve AC piles of 7 kW, s-07 six DC piles of which three can export 20 kW.
const STAYS: &str = "\
station,pile,arrival,departure,energy_needed_kwh,energy_room_kwh,energy_available_kwh,max_charge_kw,max_discharge_kw
s-05,3,2025-07-15T07:10:00Z,2025-07-15T08:06:00Z,0.5,2,0,7,0
s-05,3,2025-07-15T16:06:00+08:00,2025-07-15T09:00:00Z,5,10,0,6.6,0
s-05,0,2025-07-15T07:10:00Z,2025-07-15T07:50:00Z,1,1,0,7,0
s-07,1,2025-07-15T08:01:30Z,2025-07-15T08:05:00Z,-2,30,10,20,20
";

/// A folder with a scenario of these stays.
fn written(stays: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    let with = "[fleet]\nrecorded = \"stays/table.csv\"\n";
    std::fs::write(&file, SMALL.replace("[fleet]\n", with)).unwrap();
    std::fs::create_dir(folder.path().join("stays")).unwrap();
    std::fs::write(folder.path().join("stays/table.csv"), stays).unwrap();
    (folder, file)
}

fn load(stays: &str) -> Result<Scenario, LoadError> {
    let (_folder, file) = written(stays);
    Scenario::load(file)
}

#[test]
fn exactly_the_recorded_vehicles_come_stay_and_leave() {
    let scenario = load(STAYS).unwrap();
    let start = scenario.start();
    let mut world = World::from_scenario(&scenario, None).unwrap();
    let station = |name: &str| {
        let all = &scenario.fleet.stations;
        all.iter().position(|row| row.id.as_str() == name).unwrap()
    };
    let (slow, fast) = (station("s-05"), station("s-07"));
    let piles = |world: &World, at: usize| {
        let piles = world.readings(at).iter().map(|reading| reading.pile);
        piles.collect::<Vec<u32>>()
    };
    // Who was there before the start is there with what it needed; who had left is not.
    assert_eq!(piles(&world, slow), [3]);
    let session = world.readings(slow)[0].session.clone();
    assert_eq!(session, scenario.fleet.stays[1].session);
    assert_eq!(piles(&world, fast), Vec::<u32>::new());
    world.advance(start + TimeDelta::seconds(91));
    assert_eq!(piles(&world, fast), [1]);
    let session = &world.readings(fast)[0].session;
    let recorded = &scenario.fleet.stays[2].session;
    assert_eq!(session.departure, recorded.departure);
    assert_eq!(session.max_charge, recorded.max_charge);
    assert_eq!(session.max_discharge, recorded.max_discharge);
    let moved = session.energy_room - recorded.energy_room;
    assert!(moved.as_kilowatt_hours().abs() < 0.02, "{moved}");
    world.advance(start + TimeDelta::seconds(301));
    assert_eq!(piles(&world, fast), Vec::<u32>::new());
    // One leaves and the next comes to the same pile.
    world.advance(start + TimeDelta::seconds(361));
    assert_eq!(piles(&world, slow), [3]);
    let departure = world.readings(slow)[0].session.departure;
    assert_eq!(departure, start + TimeDelta::hours(1));
    world.advance(start + TimeDelta::minutes(61));
    let total = world.total();
    assert_eq!((total.arrivals, total.departures), (2, 3));
    assert_eq!((total.turned_away, total.short_departures), (0, 0));
    // Nobody controls it: all that fits in, 2 and 10 kWh at s-05, is drawn.
    let charged = world.tally(slow).energy_charged.as_kilowatt_hours();
    let six_minutes = 7.0 * 0.1 * 0.94;
    let most = 54.0 / 60.0 * 6.6 * 0.94;
    assert!((charged - six_minutes - most).abs() < 0.1, "{charged} kWh");
}

#[test]
fn long_steps_see_the_same_vehicles() {
    let scenario = load(STAYS).unwrap();
    let mut worlds = [1, 300].map(|step_s| {
        let mut world = World::from_scenario(&scenario, None).unwrap();
        world.set_pace(TimeDelta::seconds(step_s), |_| false);
        world
    });
    for minutes in (5..=65).step_by(5) {
        for world in &mut worlds {
            world.advance(scenario.start() + TimeDelta::minutes(minutes));
        }
        let [fine, coarse] = &worlds;
        let (fine, coarse) = (fine.total(), coarse.total());
        assert_eq!(fine.arrivals, coarse.arrivals);
        assert_eq!(fine.departures, coarse.departures);
        let off = (fine.energy_charged - coarse.energy_charged).as_kilowatt_hours();
        assert!(off.abs() < 0.05, "{off} kWh after {minutes} minutes");
    }
}

#[test]
fn a_table_that_is_written_is_read_again() {
    let scenario = load(STAYS).unwrap();
    let written = to_csv(&scenario.fleet.stays).unwrap();
    let again = load(std::str::from_utf8(&written).unwrap()).unwrap();
    assert_eq!(again.fleet.stays, scenario.fleet.stays);
    assert_eq!(again.fleet.stays.len(), 4);
    // In any order of columns, with a byte-order mark and CRLF.
    let turned: String = STAYS
        .lines()
        .map(|line| {
            let values: Vec<&str> = line.split(',').rev().collect();
            values.join(", ") + "\r\n"
        })
        .collect();
    let turned = load(&format!("\u{feff}{turned}")).unwrap();
    assert_eq!(turned.fleet.stays, scenario.fleet.stays);
    let nobody = load(&(COLUMNS.join(",") + "\n")).unwrap();
    assert_eq!(nobody.fleet.stays, []);
    let mut world = World::from_scenario(&nobody, None).unwrap();
    world.advance(nobody.end());
    assert_eq!(world.total(), Tally::default());
}

#[test]
fn another_start_takes_the_stays_along() {
    let mut scenario = load(STAYS).unwrap();
    let before = scenario.fleet.stays.clone();
    let later = scenario.header.start + TimeDelta::days(400);
    scenario.move_to(later);
    assert_eq!(scenario.start(), later);
    for (before, after) in before.iter().zip(&scenario.fleet.stays) {
        assert_eq!(after.arrival - before.arrival, TimeDelta::days(400));
        let moved = after.session.departure - before.session.departure;
        assert_eq!(moved, TimeDelta::days(400));
    }
}

/// A table may say of which model vehicles are; those have that model's limits, and a name that says so.
#[test]
fn recorded_vehicles_have_the_limits_of_their_model() {
    const LIMITS: &str = "[warranties.van]\nsoc_floor = 0.5\nsoc_ceiling = 0.9\ndischarge_kwh_per_day = 5\n\n[sessions.public]";
    let models = ["model", "", "van", "", "van"];
    let table = |models: &[&str]| -> String {
        let lines = STAYS.lines().zip(models);
        lines
            .map(|(line, model)| format!("{line},{model}\n"))
            .collect()
    };
    let load = |table: &str| {
        let (_folder, file) = written(table);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("[sessions.public]", LIMITS, 1)).unwrap();
        Scenario::load(file)
    };
    let scenario = load(&table(&models)).unwrap();
    let written = to_csv(&scenario.fleet.stays).unwrap();
    let again = load(std::str::from_utf8(&written).unwrap()).unwrap();
    assert_eq!(again.fleet.stays, scenario.fleet.stays);
    let mut world = World::from_scenario(&scenario, None).unwrap();
    world.advance(scenario.start() + TimeDelta::seconds(91));
    let names: Vec<String> = (0..world.stations().len())
        .flat_map(|station| world.readings(station))
        .map(|reading| reading.vehicle.as_ref().unwrap().to_string())
        .collect();
    // 07:10:00Z and 08:01:30Z.
    assert_eq!(names, ["1752563400-3-s-05", "van.1752566490-1-s-07"]);
    let refused = load(&table(&["model", "", "vam", "", "van"])).unwrap_err();
    let said = "table.csv: line 3, column 68: model: warranty vam is unknown (did you mean `van`?)";
    assert!(refused.to_string().contains(said), "{refused}");
}

/// What is replaced, by what, and what is said, with file, line, column and key.
#[rustfmt::skip]
const BROKEN: &[(&str, &str, &str)] = &[
    ("s-07,1", "s-7,1", "table.csv: line 5, column 1: station: station s-7 is unknown (did you mean `s-07`?)"),
    ("s-07,1", "s-07,6", "table.csv: line 5, column 6: pile: 6 is outside 0 to 5, the piles of s-07"),
    ("s-07,1", "s-07,-1", "line 5, column 6: pile: \"-1\" is no number of a pile (piles are numbered from 0)"),
    ("2025-07-15T08:01:30Z", "2025-07-15 8:01", "line 5, column 8: arrival: \"2025-07-15 8:01\" is no instant"),
    ("08:05:00Z", "08:01:30Z", "line 5, column 29: departure: 2025-07-15T08:01:30Z is not after the arrival"),
    ("-2,30,10", "-11,30,10", "line 5, column 50: energy_needed_kwh: -11"),
    ("-2,30,10", "31,30,10", "energy_needed_kwh: 31"),
    ("-2,30,10", "-2,-30,10", "line 5, column 53: energy_room_kwh: -30"),
    ("-2,30,10", "-2,NaN,10", "line 5, column 53: energy_room_kwh: "),
    ("-2,30,10", "-2,inf,10", "energy_room_kwh: "),
    ("20,20\n", "20,much\n", "max_discharge_kw: \"much\" is no number"),
    ("20,20\n", "-20,20\n", "max_charge_kw: -20"),
    ("20,20\n", "20\n", "line 5, column 1: 8 values for 9 columns"),
    ("T07:50:00Z,1,1,0,7,0\n", "T07:50:00Z,1,1,0,7,0\ns-05,3,2025-07-15T08:05:59Z,2025-07-15T08:06:00Z,0,0,0,0,0\n", "line 5, column 8: arrival: pile 3 of s-05 is taken until 2025-07-15T08:06:00+00:00 by the stay of line 2"),
    ("max_charge_kw", "max_charge", "line 1, column 87: column \"max_charge\" is unknown (did you mean `max_charge_kw`?)"),
    ("max_charge_kw", "pile", "line 1, column 87: column pile stands there twice"),
    ("station,", "stop,", "line 1, column 1: there is no column station"),
];

#[test]
fn what_is_wrong_in_a_table_is_told_with_its_place() {
    for (good, bad, said) in BROKEN {
        assert!(STAYS.contains(good), "{good}");
        let refused = load(&STAYS.replace(good, bad)).unwrap_err().to_string();
        assert!(refused.contains(said), "{bad}: {refused}");
    }
    let all = load(&STAYS.replace("s-0", "t-0")).unwrap_err().to_string();
    assert_eq!(all.lines().count(), 4, "{all}");
}

#[test]
fn a_table_that_is_not_there_is_told_at_the_key() {
    let (folder, file) = written(STAYS);
    std::fs::remove_file(folder.path().join("stays/table.csv")).unwrap();
    let refused = Scenario::load(&file).unwrap_err().to_string();
    assert!(refused.contains("scenario.toml: line "), "{refused}");
    assert!(refused.contains("fleet.recorded: "), "{refused}");
    assert!(refused.contains("table.csv: No such file"), "{refused}");
    // A text has nothing beside it.
    let text = std::fs::read_to_string(&file).unwrap();
    let refused = Scenario::parse(&text).unwrap_err();
    assert!(refused[0].message.contains("no table beside it"));
}

#[test]
fn a_variant_finds_the_table_beside_the_file_that_names_it() {
    let (folder, _file) = written(STAYS);
    std::fs::create_dir(folder.path().join("variants")).unwrap();
    let variant = folder.path().join("variants/v.toml");
    std::fs::write(
        &variant,
        "include = \"../scenario.toml\"\n[scenario]\nseed = 8\n",
    )
    .unwrap();
    assert_eq!(Scenario::load(&variant).unwrap().fleet.stays.len(), 4);
}

#[test]
fn a_station_as_registered_has_no_other_figures() {
    let exact = "exact = { piles = [{ kind = \"ac\", count = 2, rated_power_kw = 7.001 }], export_limit_kw = 0, \
                 ramp_kw_per_second = 1, charge_efficiency = 0.9, discharge_efficiency = 0.9 }";
    let row = "ac = 6, dc = 3, import_limit_kw = 200, default_setpoint_kw = 120";
    let with =
        |piles: &str| SMALL.replace(row, &format!("{piles}{exact}, import_limit_kw = 13.001"));
    let scenario = Scenario::parse(&with("")).unwrap();
    let fleet = scenario.fleet().unwrap();
    let station = &fleet.stations()[9];
    assert_eq!(station.pile_count(), 2);
    assert_eq!(station.import_limit.as_watts(), 13_001);
    assert_eq!(station.piles[0].rated_power.as_watts(), 7_001);
    let refused = Scenario::parse(&with("ac = 1, ")).unwrap_err();
    assert!(
        refused[0].message.contains("in place of ac, dc"),
        "{refused:?}"
    );
    let refused = Scenario::parse(&with("").replace("count = 2", "count = 0")).unwrap_err();
    let paths: Vec<&str> = refused
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert!(
        paths.contains(&"fleet.stations[9].exact.piles[0].count"),
        "{paths:?}"
    );
    let refused = Scenario::parse(&with("").replace("= 0.9 }", "= 1.9 }")).unwrap_err();
    assert_eq!(
        refused[0].path,
        "fleet.stations[9].exact.discharge_efficiency"
    );
}

/// Lets a scenario's operators keep their stations for six hours, with a report every half minute; what happened, and how many
/// vehicles were there at the start.
fn lived(scenario: &Scenario, mut hear: impl FnMut(&Telemetry)) -> (Tally, u64) {
    let rows = scenario.aggregators.iter();
    let operators = rows.map(|row| World::operated(scenario, &row.id).unwrap());
    let mut operators: Vec<_> = operators.collect();
    let mut at_start = 0;
    for seconds in (0..=6 * 3_600).step_by(30) {
        let now = scenario.start() + TimeDelta::seconds(seconds);
        for operator in &mut operators {
            operator.control(now);
            for report in operator.telemetry(now) {
                at_start += if seconds == 0 {
                    report.sessions.len() as u64
                } else {
                    0
                };
                hear(&report);
            }
        }
    }
    let mut total = Tally::default();
    for operator in &operators {
        total.add(&operator.sites().total());
    }
    (total, at_start)
}

#[test]
fn a_recorded_afternoon_has_the_vehicles_and_the_energy_of_the_one_that_was() {
    let swaps = Template::by_name("swap").unwrap().text("swaps");
    for text in [SMALL, &swaps] {
        let original = Scenario::parse(text).unwrap();
        let name = &original.header.name;
        let fleet = original.fleet().unwrap();
        let mut recorder = Recorder::new(fleet.stations().to_vec());
        let (was, at_start) = lived(&original, |report| recorder.take(report.sampled_at, report));
        let recording = recorder.finish().unwrap();
        assert_eq!(recording.start, original.start());
        let stays = recording.stays.len() as u64;
        assert_eq!(stays, at_start + was.arrivals, "{name}");

        let folder = tempfile::tempdir().unwrap();
        let about = About {
            name: "again".into(),
            description: String::new(),
            length: TimeDelta::hours(6),
            rule_pack: "guangdong-2025".into(),
        };
        let text = scenario(&about, &recording, &fleet, &[]).unwrap();
        let file = folder.path().join(SCENARIO_FILE);
        std::fs::write(&file, text).unwrap();
        let table = to_csv(&recording.stays).unwrap();
        std::fs::write(folder.path().join(STAYS_FILE), table).unwrap();
        let again = Scenario::load(&file).unwrap();
        let (is, still) = lived(&again, |_| ());
        // Who was first seen in the last report comes when it is over.
        let end = original.start() + TimeDelta::hours(6);
        let last = recording.stays.iter().filter(|stay| stay.arrival >= end);
        let come = was.arrivals - last.count() as u64;
        assert_eq!((is.arrivals, still), (come, at_start), "{name}");
        assert_eq!(is.turned_away, 0);
        let share = is.energy_drawn.as_kilowatt_hours() / was.energy_drawn.as_kilowatt_hours();
        assert!(
            (0.97..1.03).contains(&share),
            "{name}: {share} of the energy, {is:?}, {was:?}"
        );
        // A recorded battery charges at full power until it is full, so that a few more are in time.
        let short = is.short_departures.abs_diff(was.short_departures);
        assert!(short * 8 <= was.departures, "{name}: {is:?}, {was:?}");
    }
}
