//! `vpp test-capability` on simulated stations, and what it writes.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tonic::transport::Channel;
use vpp_proto::v1;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;

use support::{Vpp, free_address};

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

/// What a running engine's stations kept is told to it, and it calls for no more of every aggregator.
#[test]
fn a_running_engine_is_tested_and_believes_what_was_kept() {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/fleet-small.toml");
    let small = small.to_str().unwrap();
    let engine = free_address();
    let serve = ["serve", "--embedded-broker", "--listen", &engine];
    let (_engine, said) = Vpp::start(&serve, "gRPC on");
    let (_, broker) = said.split_once("broker ").unwrap();
    let broker = broker.split(';').next().unwrap();
    let registered = vpp(&["register", small, "--engine", &engine]);
    assert!(registered.status.success(), "{registered:?}");
    let _aggregators = ["agg-a", "agg-b"].map(|id| {
        let arguments = ["aggregator", small, "--id", id, "--kafka", broker];
        Vpp::start(&arguments, "aggregator").0
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let channel = runtime.block_on(all_report(&engine));

    // One step, and no rest: the stations of an engine take as long as they take.
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("short.toml");
    let usual = include_str!("../../../market-adapters/rules/capability-test.toml");
    let short = usual.replacen("[0.25, 0.5, 1.0]", "[1.0]", 1);
    let short = short.replacen("value = 60.0", "value = 2.0", 1);
    std::fs::write(&rules, short).unwrap();
    let output = vpp(&[
        "test-capability",
        "--engine",
        &engine,
        "--rules",
        rules.to_str().unwrap(),
        "--up-kw",
        "20",
        "--hold-s",
        "60",
        "--repeats",
        "1",
        "--apply",
        "--json",
    ]);
    assert!(output.status.success(), "{output:?}");
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let [step] = printed["steps"].as_array().unwrap().as_slice() else {
        panic!("{printed}");
    };
    let target = step["target_kw"].as_f64().unwrap();
    let kept = step["kept_kw"].as_f64().unwrap().max(0.0) / target;
    assert!(target > 1.0, "{step}");

    let mut client = FleetServiceClient::new(channel);
    let listed = runtime.block_on(client.list_aggregators(v1::ListAggregatorsRequest::default()));
    let aggregators = listed.unwrap().into_inner().aggregators;
    assert_eq!(aggregators.len(), 2);
    for aggregator in aggregators {
        let share = aggregator.tested_share.expect("it was told");
        assert!(
            (share - kept.min(1.0)).abs() < 1e-3,
            "{share} of {kept}: {step}"
        );
    }
}

/// Waits until all stations have reported.
async fn all_report(engine: &str) -> Channel {
    let channel = Channel::from_shared(format!("http://{engine}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let begun = Instant::now();
    loop {
        let mut client = FleetServiceClient::new(channel.clone());
        let request = v1::GetFleetStateRequest::default();
        let state = client.get_fleet_state(request).await.unwrap().into_inner();
        if state.fresh_station_count == 12 {
            return channel;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "they do not report: {state:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
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
