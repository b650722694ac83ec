//! `vpp test-capability` on simulated stations, and what it writes.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::Path;
use std::process::{Command, Output};

fn vpp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vpp"))
        .args(arguments)
        .output()
        .unwrap()
}

fn pilot() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/guangzhou-pilot.toml");
    root.display().to_string()
}

#[test]
fn a_report_a_trace_and_the_same_figures_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("report");
    let scenario = pilot();
    let arguments = [
        "test-capability",
        &scenario,
        "--repeats",
        "1",
        "--hold-s",
        "120",
        "--purpose",
        "demand-response",
        "--json",
        "--out",
        out.to_str().unwrap(),
    ];
    let first = vpp(&arguments);
    assert!(first.status.success(), "{first:?}");
    let printed: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    let steps = printed["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 6, "25, 50 and 100 %, up and down");
    for step in steps {
        let (asked, kept) = (step["target_kw"].as_f64(), step["kept_kw"].as_f64());
        let share = kept.unwrap() / asked.unwrap().abs();
        // Measured: 0.97 to 0.99.
        assert!((0.93..1.1).contains(&share), "{step}");
    }
    let written = std::fs::read_to_string(out.join("report.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written, printed);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org").count()
    );

    // The trace is what `vpp score` reads.
    let trace = out.join("trace.csv");
    let score = vpp(&[
        "score",
        trace.to_str().unwrap(),
        "--rated-kw",
        "3500",
        "--json",
    ]);
    assert!(score.status.success(), "{score:?}");

    let again = vpp(&[&arguments[..], &["--force"]].concat());
    assert_eq!(again.stdout, first.stdout, "the same every time");
}

#[test]
fn what_cannot_be_tested_is_refused_with_the_reason() {
    let scenario = pilot();
    for (arguments, reason) in [
        (&["--up-kw", "nan"][..], "0 to 100,000,000 kW"),
        (&["--up-kw=-5"], "0 to 100,000,000 kW"),
        (&["--hold-s", "5"], "60..=86400"),
        (&["--repeats", "0"], "1..=100"),
        (&["--rules", "/nowhere.toml"], "/nowhere.toml"),
        (&["--apply"], "--engine"),
    ] {
        let output = vpp(&[&["test-capability", &scenario][..], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(reason), "{arguments:?}: {told}");
    }
    let output = vpp(&["test-capability", "--engine", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("no engine answers at 127.0.0.1:1"), "{told}");
}
