//! What is in the ledger, read through gRPC while the engine runs.

use std::net::SocketAddr;

use tonic::Code;
use tonic::transport::Channel;
use vpp_ledger::{Batch, Entry, Ledger, Line};
use vpp_proto::v1;
use vpp_proto::v1::settlement_service_client::SettlementServiceClient;
use vpp_service::{Clock, EmbeddedBroker, Service, ServiceConfig};

async fn start(
    broker: &EmbeddedBroker,
    folder: Option<&std::path::Path>,
) -> (Service, SettlementServiceClient<Channel>) {
    let mut config = ServiceConfig {
        grpc_address: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: folder.map(Into::into),
        ..ServiceConfig::default()
    };
    config.kafka.bootstrap = broker.bootstrap();
    config.kafka.create_topics = false;
    let service = Service::start(config, Vec::new(), Clock::wall()).await;
    let service = service.expect("starts");
    let url = format!("http://{}", service.address());
    let client = SettlementServiceClient::connect(url).await;
    (service, client.expect("connects"))
}

fn batch(subject: &str, aggregator: &str, shares: &[(&str, i64)]) -> Batch {
    let line = |&(station, fen): &(&str, i64)| Line {
        station: station.into(),
        item: "response".into(),
        wh: 1_500,
        price: String::new(),
        fen,
        rule: "baselines@1/js5".into(),
        detail: r#"{"actual_wh":[0,null]}"#.into(),
    };
    let entry = |&(station, fen): &(&str, i64)| Entry {
        debit: format!("station:{station}"),
        credit: "grid".into(),
        fen,
        memo: "share".into(),
    };
    Batch {
        id: format!("{subject}/{aggregator}"),
        subject: subject.into(),
        aggregator: aggregator.into(),
        run: subject.into(),
        rules: "baselines@1/js5 response-payments@1/tiered".into(),
        fen: shares.iter().map(|share| share.1).sum(),
        entries: shares.iter().map(entry).collect(),
        lines: shares.iter().map(line).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_read_while_the_engine_runs() {
    let broker = EmbeddedBroker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let (service, mut client) = start(&broker, Some(folder.path())).await;
    // As `vpp settle-month --ledger` does it, beside the engine.
    let url = format!("sqlite:{}", folder.path().join("ledger.db").display());
    let ledger = Ledger::open(&url).await.expect("opens");
    let first = batch("event/dr-1", "agg-a", &[("s-1", 300), ("s-2", 200)]);
    let all = [
        first,
        batch("event/dr-1", "agg-b", &[("s-3", 100)]),
        batch("month/2027-04", "agg-a", &[("s-1", 7)]),
    ];
    ledger
        .post_all(&all, 1_800_000_000_000)
        .await
        .expect("posted");
    let corrected = batch("event/dr-1", "agg-a", &[("s-1", 250), ("s-2", 250)]);
    ledger
        .post(&corrected, 1_800_000_001_000)
        .await
        .expect("posted");

    let mut seen = Vec::new();
    let mut request = v1::ListStatementsRequest {
        superseded: true,
        page_size: 3,
        ..Default::default()
    };
    loop {
        let page = client
            .list_statements(request.clone())
            .await
            .expect("a page")
            .into_inner();
        seen.extend(
            page.statements
                .iter()
                .map(|s| (s.id.clone(), s.version, s.superseded)),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let named = |id: &str, version: i64, superseded: bool| (id.to_owned(), version, superseded);
    assert_eq!(
        seen,
        [
            named("event/dr-1/agg-a", 1, true),
            named("event/dr-1/agg-a", 2, false),
            named("event/dr-1/agg-b", 1, false),
            named("month/2027-04/agg-a", 1, false),
        ]
    );
    let of_station = v1::ListStatementsRequest {
        station_id: "s-1".into(),
        aggregator_id: "agg-a".into(),
        ..Default::default()
    };
    let found = client
        .list_statements(of_station)
        .await
        .expect("found")
        .into_inner();
    let ids: Vec<&str> = found.statements.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["event/dr-1/agg-a", "month/2027-04/agg-a"]);
    assert_eq!(
        found.statements[0].posted_time.map(|at| at.seconds),
        Some(1_800_000_001)
    );

    let get = |version: i64, station: &str| v1::GetStatementRequest {
        id: "event/dr-1/agg-a".into(),
        version,
        station_id: station.into(),
        page_size: 1,
        ..Default::default()
    };
    let latest = client
        .get_statement(get(0, ""))
        .await
        .expect("there")
        .into_inner();
    assert_eq!(
        latest.statement.as_ref().map(|s| (s.version, s.fen)),
        Some((2, 500))
    );
    assert_eq!(
        (latest.lines.len(), latest.lines[0].station_id.as_str()),
        (1, "s-1")
    );
    let next = v1::GetStatementRequest {
        page_token: latest.next_page_token,
        ..get(2, "")
    };
    let next = client
        .get_statement(next)
        .await
        .expect("there")
        .into_inner();
    assert_eq!(
        (next.lines.len(), next.lines[0].station_id.as_str()),
        (1, "s-2")
    );
    assert!(next.next_page_token.is_empty());
    let old = client
        .get_statement(get(1, "s-2"))
        .await
        .expect("there")
        .into_inner();
    let line = &old.lines[0];
    assert_eq!(
        (line.fen, line.wh, line.rule.as_str()),
        (200, 1_500, "baselines@1/js5")
    );
    assert!(line.detail.contains("actual_wh") && old.next_page_token.is_empty());

    let balances = v1::ListBalancesRequest::default();
    let balances = client
        .list_balances(balances)
        .await
        .expect("there")
        .into_inner()
        .balances;
    let of = |account: &str| {
        balances
            .iter()
            .find(|b| b.account == account)
            .map(|b| b.fen)
    };
    assert_eq!(
        (of("grid"), of("station:s-1"), of("station:s-2")),
        (Some(-607), Some(257), Some(250))
    );
    assert_eq!(balances.iter().map(|b| b.fen).sum::<i64>(), 0);

    for (request, code) in [
        (get(9, ""), Code::NotFound),
        (get(-1, ""), Code::InvalidArgument),
        (v1::GetStatementRequest::default(), Code::NotFound),
    ] {
        assert_eq!(
            client
                .get_statement(request)
                .await
                .expect_err("refused")
                .code(),
            code
        );
    }
    let wrong = v1::ListStatementsRequest {
        page_token: "7".into(),
        ..Default::default()
    };
    assert_eq!(
        client
            .list_statements(wrong)
            .await
            .expect_err("refused")
            .code(),
        Code::InvalidArgument
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_it_says_so() {
    let broker = EmbeddedBroker::start().expect("a broker");
    let (service, mut client) = start(&broker, None).await;
    let refused = client
        .list_balances(v1::ListBalancesRequest::default())
        .await;
    let refused = refused.expect_err("there is none");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("set `ledger`"), "{refused}");
    service.stop().await;
}
