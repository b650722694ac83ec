//! The report, the comparison and a sweep of made-up figures in a real browser: no error, nothing fetched, the charts are there.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // made-up figures

use std::path::Path;

use vpp_results::compare::Comparison;
use vpp_results::report::{self, Language};
use vpp_results::sweep::Outcome;
use vpp_results::{Header, Summary, Tables};

mod pages;
use pages::{look_at, print};
mod synthetic;
use synthetic::Size;

fn html(folder: &Path, language: Language) -> String {
    let html = report::html(folder, language).expect("a report");
    // Nothing in it could be fetched: no address but the name of SVG.
    let addresses = html.replace("http://www.w3.org/2000/svg", "");
    assert!(!addresses.contains("http://") && !addresses.contains("https://"));
    html
}

#[test]
fn pages_open_without_an_error_and_fetch_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let [day, other, year, none] =
        ["day", "other", "year", "none"].map(|name| folder.path().join(name));
    let size = Size {
        days: 1,
        stations: 60,
        interval_s: 900,
        seed: 1,
    };
    synthetic::write(&day, size).expect("written");
    synthetic::write(
        &other,
        Size {
            seed: 2,
            days: 2,
            ..size
        },
    )
    .expect("written");
    synthetic::write(
        &year,
        Size {
            days: 365,
            stations: 8,
            interval_s: 3600,
            seed: 3,
        },
    )
    .expect("written");
    Tables::create(&none)
        .expect("begun")
        .finish()
        .expect("whole");
    Summary::derive(&none, Header::default())
        .expect("tables")
        .write(&none)
        .expect("written");

    let of_year = html(&year, Language::Chinese);
    assert!(of_year.len() < 2_000_000, "{} bytes", of_year.len());
    let compared = |folders: &[&Path]| {
        let labelled: Vec<_> = folders
            .iter()
            .enumerate()
            .map(|(at, folder)| (format!("run <{at}>"), *folder))
            .collect();
        Comparison::read(&labelled, Language::English)
            .expect("runs")
            .html(Language::English)
    };
    let sweep = |runs: usize| {
        let run = |number: usize| {
            let (of, value) = ([&day, &other][number / 2 % 2], ["0", "<1>"][number % 2]);
            Outcome::of(of, "digest", number, vec![value.into()]).expect("a run")
        };
        let outcomes: Vec<Outcome> = (0..runs).map(run).collect();
        let parameters = ["fault <kind>".to_owned()];
        let to = folder.path();
        report::sweep::write(to, "sweep <b>", &parameters, &outcomes, Language::English)
            .expect("written");
        std::fs::read_to_string(to.join("report.html")).expect("a page")
    };
    for (name, html, sheets) in [
        ("day", html(&day, Language::English), 3..=12),
        ("year", of_year.clone(), 3..=16),
        ("two", compared(&[&day, &other]), 1..=4),
        ("sweep", sweep(8), 1..=6),
    ] {
        let printed = print(&html);
        assert!(sheets.contains(&printed.sheets), "{name}: {printed:?}");
        assert!(
            printed.text && printed.bytes > 20_000,
            "{name}: {printed:?}"
        );
    }
    let seen = look_at(&[
        ("sweep", 1280, sweep(8)),
        ("sweep-phone", 390, sweep(4)),
        ("day", 1280, html(&day, Language::English)),
        ("phone", 390, html(&day, Language::English)),
        ("year", 1280, of_year),
        ("none", 390, html(&none, Language::English)),
        ("two", 390, compared(&[&day, &other])),
        ("many", 1280, compared(&[day.as_path(); 8])),
    ]);
    for (name, page) in &seen {
        page.assert_sound();
        // Words, data and program, and no more: text of the scenario made none.
        assert_eq!((page.scripts, page.bold), (3, 0), "{name}");
    }
    let day = &seen["day"];
    assert_eq!(day.title, "synthetic: 60 stations <&>, 1 days");
    assert_eq!(
        (day.figures, day.sections, day.canvas, day.empty),
        (12, 8, 1, 0),
        "{day:?}"
    );
    assert!(day.plots > 40 && day.bars > 20 && day.rows > 15, "{day:?}");
    assert_eq!((seen["phone"].plots > 40, seen["phone"].canvas), (true, 1));
    let year = &seen["year"];
    // A square for each day, and a section that says that there was no signal.
    assert!(
        year.plots > 365 && year.sections == 9 && year.empty >= 1,
        "{year:?}"
    );
    // Without any data each section says so.
    let none = &seen["none"];
    assert!(none.plots == 0 && none.empty >= 8, "{none:?}");
    // A band for each value, and a table of the figures.
    for name in ["sweep", "sweep-phone"] {
        let page = &seen[name];
        assert!(page.rows > 3 && page.plots >= 2, "{page:?}");
        assert_eq!(page.title, "sweep <b>: a sweep");
    }
    for name in ["two", "many"] {
        assert!(
            seen[name].rows > 20 && seen[name].plots >= 3,
            "{:?}",
            seen[name]
        );
    }
}
