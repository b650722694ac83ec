//! The report and the comparison in a real browser: no error, nothing fetched, the charts are there.
//!
//! `make test` installs Chromium where it may; without a browser this fails.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // made-up figures

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use vpp_results::compare::Comparison;
use vpp_results::report::{self, Language};
use vpp_results::sweep::Outcome;
use vpp_results::{Header, Summary, Tables};

mod synthetic;
use synthetic::Size;

/// Tells the page around what happened in a page, and what it shows.
const BEFORE: &str = "<script>
const seen = [];
addEventListener('error', event => seen.push('error: ' + event.message));
addEventListener('unhandledrejection', event => seen.push('rejected: ' + event.reason));
addEventListener('securitypolicyviolation', event => seen.push('fetched: ' + event.blockedURI));
for (const level of ['error', 'warn']) console[level] = (...what) => seen.push(level + ': ' + what.join(' '));
</script>";
const AFTER: &str = "<script>
const count = selector => document.querySelectorAll(selector).length;
addEventListener('load', () => setTimeout(() => parent.postMessage({ page: 'NAME', seen, fetched: performance.getEntriesByType('resource').length,
  figures: count('.figure'), plots: count('.plot > svg path, .plot > svg circle, .plot > svg rect'), canvas: count('canvas'), bars: count('.bar span'),
  rows: count('tbody tr'), empty: count('.empty'), sections: count('section'), scripts: count('script'), bold: count('td b'),
  broken: [...document.querySelectorAll('svg path')].filter(path => /NaN|undefined|Infinity/.test(path.getAttribute('d'))).length,
  wide: document.documentElement.scrollWidth - innerWidth, title: document.querySelector('h1').textContent,
  text: /undefined|NaN|Infinity/.test(document.querySelector('main').textContent) }, '*'), 50));
</script>";

#[derive(Debug, serde::Deserialize)]
struct Seen {
    page: String,
    seen: Vec<String>,
    fetched: u32,
    figures: u32,
    plots: u32,
    canvas: u32,
    bars: u32,
    rows: u32,
    empty: u32,
    sections: u32,
    scripts: u32,
    bold: u32,
    broken: u32,
    wide: i32,
    title: String,
    text: bool,
}

fn browser() -> &'static str {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            let mut version = Command::new(name);
            version
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            version.status().is_ok_and(|status| status.success())
        })
        .expect("no browser: `make browser` installs Chromium where it may")
}

/// Opens pages in frames of one window, each as wide as a phone or a desktop.
fn look_at(pages: &[(&str, u32, String)]) -> BTreeMap<String, Seen> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut frames = String::new();
    for (name, width, html) in pages {
        let html = html.replacen("<head>", &format!("<head>{BEFORE}"), 1);
        let html = html.replace(
            "</body>",
            &format!("{}</body>", AFTER.replace("NAME", name)),
        );
        std::fs::write(folder.path().join(format!("{name}.html")), html).expect("written");
        frames.push_str(&format!(
            "<iframe src=\"{name}.html\" width={width} height=900></iframe>"
        ));
    }
    let page = format!(
        "<!doctype html><meta charset=utf-8>{frames}<pre id=seen></pre><script>const all = [];
        onmessage = event => {{ all.push(event.data); document.getElementById('seen').textContent = 'SEEN' + JSON.stringify(all) + 'SEEN'; }}</script>"
    );
    let path = folder.path().join("all.html");
    std::fs::write(&path, page).expect("written");
    let output = Command::new(browser())
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args([
            "--disable-extensions",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("file://{}", path.display()))
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout);
    let seen = dom.split("SEEN").nth(1).unwrap_or_else(|| {
        panic!(
            "the browser says nothing: {dom} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let seen = seen
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let seen: Vec<Seen> = serde_json::from_str(&seen).expect("what was seen");
    seen.into_iter()
        .map(|seen| (seen.page.clone(), seen))
        .collect()
}

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
    assert_eq!(seen.len(), 8, "a page is missing: {:?}", seen.keys());
    for (name, page) in &seen {
        assert_eq!(page.seen, Vec::<String>::new(), "{name}");
        assert_eq!(page.fetched, 0, "{name}");
        assert_eq!(page.broken, 0, "{name}: a chart has no numbers");
        assert!(!page.text, "{name}: text without a value");
        assert!(
            page.wide <= 0,
            "{name} is {} pixels wider than its window",
            page.wide
        );
        // Our own five, and no more: text of the scenario made none.
        assert_eq!((page.scripts, page.bold), (5, 0), "{name}");
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
