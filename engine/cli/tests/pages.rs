//! The pages that `vpp` writes, each made by the command itself and opened in a real browser.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::Path;
use std::process::Command;

#[path = "../../results/tests/pages/mod.rs"]
mod pages;
use pages::{look_at, print};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");

/// Runs `vpp` in a folder.
fn vpp(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpp"));
    let output = command.args(arguments).current_dir(folder).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

fn page(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap()
}

#[test]
fn each_opens_without_an_error_fetches_nothing_and_prints() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let community = format!("{SCENARIOS}/pilot-community.toml");
    let small = format!("{SCENARIOS}/fleet-small.toml");
    let pilot = format!("{SCENARIOS}/guangzhou-pilot.toml");
    vpp(
        at,
        &["replay", &community, "--until", "5h", "--out", "evening"],
    );
    vpp(at, &["replay", &small, "--out", "small", "--lang", "zh"]);
    let evaluate = ["evaluate", "evening", "small", "--lang"];
    for (language, file) in [("en", "plan.html"), ("both", "both.html")] {
        let more = [language, "--scenario", &community, "--out", file];
        vpp(at, &[&evaluate[..], &more].concat());
    }
    vpp(at, &["compare", "evening", "small", "--out", "beside"]);
    let tested = ["test-capability", &pilot, "--repeats", "1", "--hold-s"];
    vpp(at, &[&tested[..], &["60", "--out", "tested"]].concat());

    // Each with the fewest and most sheets that it may take.
    let all = [
        ("evening", "evening/report.html", 2..=10),
        ("small", "small/report.html", 2..=10),
        ("plan", "plan.html", 1..=8),
        ("both", "both.html", 2..=16),
        ("beside", "beside/compare.html", 1..=4),
        ("tested", "tested/report.html", 1..=2),
    ];
    let phone = |name: &str| format!("{name}-phone");
    let mut windows = Vec::new();
    for (name, path, _) in &all {
        windows.push(((*name).to_owned(), 1280, page(at, path)));
        windows.push((phone(name), 390, page(at, path)));
    }
    let windows = windows.iter();
    let windows = windows.map(|(name, width, html)| (name.as_str(), *width, html.clone()));
    let seen = look_at(&windows.collect::<Vec<_>>());
    for (name, page) in &seen {
        page.assert_sound();
        assert!(page.rows > 0, "{name}: {page:?}");
    }
    for name in ["evening", "small"] {
        let report = &seen[name];
        assert!(report.plots > 10 && report.figures >= 8, "{report:?}");
    }
    assert_eq!(seen["evening"].title, "pilot-community");
    // A section for each language, no script, and no markup that came with a name.
    assert_eq!((seen["plan"].sections, seen["both"].sections), (1, 2));
    assert_eq!((seen["plan"].scripts, seen["tested"].scripts), (0, 0));
    assert!(seen["beside"].plots >= 3, "{:?}", seen["beside"]);
    assert!(seen["tested"].shapes > 10, "{:?}", seen["tested"]);
    let title = "Capability test: guangzhou-pilot (simulated)";
    assert_eq!(seen["tested"].title, title);

    for (name, path, sheets) in all {
        let printed = print(&page(at, path));
        assert!(sheets.contains(&printed.sheets), "{name}: {printed:?}");
        assert!(
            printed.text && printed.bytes > 10_000,
            "{name}: {printed:?}"
        );
    }
}
