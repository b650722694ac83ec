//! `vpp record` beside a running plant: engine and broker in one process, two aggregators with simulated stations. What was
//! recorded is sound and replays.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use tonic::transport::Channel;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_proto::v1::submit_event_request::Programme;
use vpp_scenarios::Scenario;

use support::{Vpp, free_address};

const SCENARIO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../scenarios/fleet-small.toml"
);
const PATIENCE: Duration = Duration::from_secs(60);

fn vpp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vpp"))
        .args(arguments)
        .output()
        .unwrap()
}

fn sound(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Calls an event of half a minute once all stations report; the power that the fleet draws, kW, and the vehicles plugged in.
async fn call_an_event(engine: &str) -> (f64, u32) {
    let channel = Channel::from_shared(format!("http://{engine}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let begun = Instant::now();
    let state = loop {
        let request = v1::GetFleetStateRequest::default();
        let mut client = FleetServiceClient::new(channel.clone());
        let state = client.get_fleet_state(request).await.unwrap().into_inner();
        if state.fresh_station_count == 12 {
            break state;
        }
        assert!(begun.elapsed() < PATIENCE, "they do not report: {state:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let after = |seconds| Some((SystemTime::now() + Duration::from_secs(seconds)).into());
    let request = v1::SubmitEventRequest {
        request_id: "call".into(),
        programme: Some(Programme::DemandResponse(v1::DemandResponse {
            reduction_kw: 30.5,
        })),
        start_time: after(2),
        end_time: after(32),
        ..Default::default()
    };
    let mut client = DispatchServiceClient::new(channel);
    client.submit_event(request).await.unwrap();
    let vehicles = state.stations.iter().map(|s| s.session_count).sum();
    (state.active_power_kw, vehicles)
}

#[test]
fn what_a_running_plant_reports_is_recorded_and_replays() {
    let engine = free_address();
    let serve = ["serve", "--embedded-broker", "--listen", &engine];
    let (_engine, said) = Vpp::start(&serve, "gRPC on");
    let (_, broker) = said.split_once("broker ").unwrap();
    let broker = broker.split(';').next().unwrap();
    sound(&vpp(&["register", SCENARIO, "--engine", &engine]));
    let _aggregators = ["agg-a", "agg-b"].map(|id| {
        let arguments = ["aggregator", SCENARIO, "--id", id, "--kafka", broker];
        Vpp::start(&arguments, "aggregator").0
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (drawn_kw, vehicles) = runtime.block_on(call_an_event(&engine));
    assert!(vehicles > 10, "{vehicles} vehicles");

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("live");
    let record = ["record", "--engine", &engine, "--broker", broker];
    let record = |more: &[&str]| vpp(&[&record[..], &["--out", text(&out)], more].concat());
    let said = sound(&record(&["--for", "10s"]));
    assert!(said.contains("of 12 of 12 stations"), "{said}");
    let file = out.join("scenario.toml");
    let scenario = Scenario::load(&file).unwrap();
    assert_eq!(scenario.header.name, "live");
    assert_eq!(scenario.header.duration_minutes, 1);
    // The fleet as it is registered, but for where it is; the warranty has done its work before the report.
    let original = Scenario::load(SCENARIO).unwrap().fleet().unwrap();
    let fleet = scenario.fleet().unwrap();
    assert_eq!(fleet.stations(), original.stations());
    assert_eq!(fleet.tree().nodes(), original.tree().nodes());
    let stays = scenario.fleet.stays.len();
    let few = vehicles as usize;
    assert!(
        (few - 2..few + 10).contains(&stays),
        "{stays} stays of {few} vehicles"
    );
    let [event] = scenario.events.as_slice() else {
        panic!("{:?}", scenario.events);
    };
    assert_eq!(event.reduction_kw, Some(30.5));

    // What was recorded is not lost by chance.
    let again = record(&["--for", "10s"]);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    let why = String::from_utf8(again.stderr).unwrap();
    assert!(
        why.contains("is not empty; --force writes into it"),
        "{why}"
    );

    let said = sound(&vpp(&["check", text(&file)]));
    assert!(said.contains("12 stations"), "{said}");
    let results = folder.path().join("results");
    let replay = ["replay", text(&file), "--out", text(&results), "--json"];
    let summary: serde_json::Value = serde_json::from_str(&sound(&vpp(&replay))).unwrap();
    assert_eq!(summary["scenario"]["stations"], 12, "{summary}");
    let drawn_kwh = summary["energy"]["import_kwh"].as_f64().unwrap();
    // A minute of what was drawn live, an event and a few more vehicles or less.
    let expected_kwh = drawn_kw / 60.0;
    let share = drawn_kwh / expected_kwh;
    assert!(
        (0.5..1.5).contains(&share),
        "{drawn_kwh} kWh of {expected_kwh}"
    );
    assert_eq!(summary["limits"]["violations"], 0, "{summary}");
}

#[test]
fn what_cannot_be_recorded_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("live");
    let nobody = free_address();
    let refused = |more: &[&str]| {
        let basic = ["record", "--engine", &nobody, "--out", text(&out)];
        let output = vpp(&[&basic[..], more].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let why = refused(&[]);
    assert!(why.contains("no engine answers at"), "{why}");
    let why = refused(&["--tariff", "guangdong-2052"]);
    assert!(
        why.contains("there is no rule pack guangdong-2052"),
        "{why}"
    );
    let why = refused(&["--for", "soon"]);
    assert!(why.contains("is no length such as 90m or 24h"), "{why}");
    assert!(!out.exists());
}
