//! An invitation through the whole chain: published and declared for over gRPC, cleared and called by the engine, delivered by
//! simulated stations over Kafka, and still there after the engine was killed in the middle of it.

#[path = "support/live.rs"]
mod live;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tonic::Code;
use tonic::transport::Channel;
use vpp_aggregator::kafka;
use vpp_ledger::{Batch, Ledger};
use vpp_proto::client::register_fleet;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;
use vpp_proto::v1::invitation_service_client::InvitationServiceClient;
use vpp_proto::v1::{InvitationState as State, dispatch_service_client::DispatchServiceClient};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;
use vpp_service::{Clock, EmbeddedBroker};

const SMALL: &str = include_str!("../../../scenarios/fleet-small.toml");

/// As `vpp settle --ledger` does it, beside the engine: a statement for each aggregator.
async fn settle(folder: &std::path::Path, event: &v1::Event) {
    let url = format!("sqlite:{}", folder.join("ledger.db").display());
    let ledger = Ledger::open(&url).await.expect("opens");
    for commitment in event
        .commitments
        .iter()
        .filter(|commitment| commitment.power_kw > 0.0)
    {
        let subject = format!("event/{}", event.event_id);
        let id = format!("{subject}/{}", commitment.aggregator_id);
        let batch = Batch {
            run: id.clone(),
            id,
            subject,
            aggregator: commitment.aggregator_id.clone(),
            rules: "baselines@1/js5 response-payments@1/tiered".into(),
            fen: 0,
            entries: Vec::new(),
            lines: Vec::new(),
        };
        ledger.post(&batch, 1).await.expect("posted");
    }
}

async fn wait_for(channel: &Channel, wanted: State) -> v1::Invitation {
    let mut client = InvitationServiceClient::new(channel.clone());
    for _ in 0..240 {
        let request = v1::GetInvitationRequest {
            invitation_id: "dr-1".into(),
        };
        let answer = client
            .get_invitation(request)
            .await
            .expect("there")
            .into_inner();
        let invitation = answer.invitation.expect("there");
        assert_ne!(
            invitation.state(),
            State::Cancelled,
            "{:?}",
            invitation.trail.last()
        );
        if invitation.state() == wanted {
            return invitation;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("the invitation does not come to {wanted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_publication_to_payment_over_a_restart() {
    let broker = EmbeddedBroker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = Scenario::parse(SMALL).expect("sound");
    let clock = Clock::starting_at(scenario.start());
    let (service, channel) = live::start(&broker, Some(folder.path()), &clock).await;
    let fleet = scenario.fleet().expect("sound");
    register_fleet(channel.clone(), "test", &fleet)
        .await
        .expect("registers");
    let stop = Arc::new(AtomicBool::new(false));
    for row in &scenario.aggregators {
        let operator = World::operated(&scenario, &row.id).expect("sound");
        let mut config = kafka::Config::new(broker.bootstrap(), row.id.clone());
        config.telemetry_period = Duration::from_secs(1);
        let (clock, stop) = (clock.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let time: kafka::Clock = Arc::new(move || clock.now());
            kafka::run(&config, operator, &time, &stop)
        });
    }
    let mut fresh = 0;
    for _ in 0..120 {
        let mut client = FleetServiceClient::new(channel.clone());
        let state = client
            .get_fleet_state(v1::GetFleetStateRequest::default())
            .await;
        fresh = state.expect("answers").into_inner().fresh_station_count;
        if fresh == 12 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(fresh, 12, "the stations do not report");

    let mut client = InvitationServiceClient::new(channel.clone());
    let now = clock.now();
    let at = |seconds: i64| Some(from_timestamp(now + TimeDelta::seconds(seconds)));
    let terms = v1::InvitationTerms {
        kind: v1::InvitationKind::RealTime.into(),
        product: v1::InvitationProduct::Shaving.into(),
        scope: None,
        demand_kw: 60.0,
        start_time: at(8),
        end_time: at(20),
        declare_until: at(4),
        floor_cny_per_kwh: "0.1".into(),
        cap_cny_per_kwh: "5".into(),
        least_kw: 1.0,
        pricing: v1::InvitationPricing::Uniform.into(),
    };
    let publish = v1::PublishInvitationRequest {
        request_id: "p-1".into(),
        validate_only: false,
        invitation_id: "dr-1".into(),
        terms: Some(terms.clone()),
    };
    let published = client
        .publish_invitation(publish.clone())
        .await
        .expect("published");
    assert_eq!(
        published.into_inner().invitation.expect("there").state(),
        State::Published
    );
    let reserve = v1::PublishInvitationRequest {
        request_id: "p-2".into(),
        invitation_id: "dr-2".into(),
        terms: Some(v1::InvitationTerms {
            product: v1::InvitationProduct::Reserve.into(),
            ..terms
        }),
        ..Default::default()
    };
    let refused = client
        .publish_invitation(reserve)
        .await
        .expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    // One says what it offers, for the other the engine does.
    let aggregators: Vec<String> = scenario
        .aggregators
        .iter()
        .map(|a| a.id.to_string())
        .collect();
    let declare = |of: usize, power_kw: Option<f64>, price: &str| v1::DeclareRequest {
        request_id: format!("d-{of}"),
        invitation_id: "dr-1".into(),
        aggregator_id: aggregators[of].clone(),
        power_kw,
        price_cny_per_kwh: price.into(),
        ..Default::default()
    };
    client
        .declare(declare(0, Some(40.0), "0.2"))
        .await
        .expect("declared");
    let declared = client
        .declare(declare(1, None, ""))
        .await
        .expect("declared")
        .into_inner();
    let offers = declared.invitation.expect("there").offers;
    assert_eq!(offers.len(), 2);
    assert!(offers[1].power_kw > 1.0, "{offers:?}");

    // Killed between clearing and the end, and started again.
    let cleared = wait_for(&channel, State::Cleared).await;
    let clearing = cleared.clearing.expect("cleared");
    let taken: f64 = clearing.taken.iter().map(|taken| taken.power_kw).sum();
    assert!(taken > 40.0 && taken <= 60.0 + 1e-9, "{clearing:?}");
    wait_for(&channel, State::Executing).await;
    service.stop().await;
    let (service, channel) = live::start(&broker, Some(folder.path()), &clock).await;
    let mut client = InvitationServiceClient::new(channel.clone());
    // The same request, sent again, is answered as before and published once.
    client.publish_invitation(publish).await.expect("known");
    let executed = wait_for(&channel, State::Executed).await;
    let mut dispatch = DispatchServiceClient::new(channel.clone());
    let request = v1::GetEventRequest {
        event_id: executed.event_id.clone(),
    };
    let event = dispatch
        .get_event(request)
        .await
        .expect("there")
        .into_inner();
    let event = event.event.expect("there");
    assert!((event.accepted_kw - taken).abs() < 1e-9);
    assert!(event.delivered_kwh > 0.0, "{event:?}");
    let record = |turn: v1::InvitationTurn| v1::RecordSettlementRequest {
        request_id: turn.as_str_name().into(),
        invitation_id: "dr-1".into(),
        turn: turn.into(),
        ..Default::default()
    };
    // Nothing counts as judged before the ledger has figures of all that were taken.
    let refused = client
        .record_settlement(record(v1::InvitationTurn::Evaluate))
        .await;
    let refused = refused.expect_err("not settled");
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(
        refused
            .message()
            .contains("there is no statement of event/"),
        "{refused}"
    );
    settle(folder.path(), &event).await;
    for turn in [v1::InvitationTurn::Evaluate, v1::InvitationTurn::Pay] {
        client
            .record_settlement(record(turn))
            .await
            .expect("recorded");
    }
    let paid = wait_for(&channel, State::Paid).await;
    assert_eq!(paid.trail.len(), 7);
    let listed = client
        .list_invitations(v1::ListInvitationsRequest::default())
        .await;
    assert_eq!(listed.expect("listed").into_inner().invitations.len(), 1);
    stop.store(true, Ordering::Relaxed);
    service.stop().await;
}
