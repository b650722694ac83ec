//! `SettlementService`: the ledger, to be read.

use tonic::{Request, Response, Status};
use vpp_core::Invalid;
use vpp_ledger::{Filter, Ledger, LedgerError, Line, Statement};
use vpp_proto::v1;

use super::page::Page;
use super::status::refused;

/// Where statements are read from.
pub(crate) struct Settlement {
    pub(crate) ledger: Option<Ledger>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl v1::settlement_service_server::SettlementService for Settlement {
    async fn list_statements(
        &self,
        request: Request<v1::ListStatementsRequest>,
    ) -> Answer<v1::ListStatementsResponse> {
        let request = request.into_inner();
        let ledger = self.ledger()?;
        let given = |text: String| (!text.is_empty()).then_some(text);
        let size = Page::parse(request.page_size, "")?.size();
        let filter = Filter {
            id: None,
            aggregator: given(request.aggregator_id),
            station: given(request.station_id),
            subject: given(request.subject),
            superseded: request.superseded,
            after: after(&request.page_token)?,
        };
        // One more, to know whether this is the last page.
        let most = u32::try_from(size + 1).unwrap_or(u32::MAX);
        let mut found = ledger.statements(&filter, most).await.map_err(failed)?;
        let more = found.len() > size;
        found.truncate(size);
        let token = |last: &Statement| format!("{}@{}", last.id, last.version);
        let next_page_token = found.last().filter(|_| more).map_or(String::new(), token);
        Ok(Response::new(v1::ListStatementsResponse {
            statements: found.into_iter().map(to_wire).collect(),
            next_page_token,
        }))
    }

    async fn get_statement(
        &self,
        request: Request<v1::GetStatementRequest>,
    ) -> Answer<v1::GetStatementResponse> {
        let request = request.into_inner();
        let ledger = self.ledger()?;
        let size = Page::parse(request.page_size, "")?.size();
        let after = number_after(&request.page_token)?;
        if request.version < 0 {
            let problem = format!("{} is negative", request.version);
            return Err(refused(Invalid::new("version", problem)));
        }
        let found = ledger.statement(&request.id, request.version).await;
        let Some(statement) = found.map_err(failed)? else {
            return Err(refused(Invalid::unknown("id", &request.id)));
        };
        let station = Some(request.station_id.as_str()).filter(|id| !id.is_empty());
        // One more, to know whether this is the last page.
        let most = u32::try_from(size + 1).unwrap_or(u32::MAX);
        let (id, version) = (&statement.id, statement.version);
        let lines = ledger.lines(id, version, station, after, most).await;
        let mut lines = lines.map_err(failed)?;
        let more = lines.len() > size;
        lines.truncate(size);
        let last = lines.last().filter(|_| more);
        let next_page_token = last.map_or(String::new(), |(number, _)| number.to_string());
        let lines = lines
            .into_iter()
            .map(|(_, line)| line_to_wire(line))
            .collect();
        Ok(Response::new(v1::GetStatementResponse {
            statement: Some(to_wire(statement)),
            lines,
            next_page_token,
        }))
    }

    async fn list_balances(
        &self,
        request: Request<v1::ListBalancesRequest>,
    ) -> Answer<v1::ListBalancesResponse> {
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token)?;
        let balances = self.ledger()?.balances().await.map_err(failed)?;
        let balances = balances
            .into_iter()
            .filter(|(account, _)| account.starts_with(&request.account_prefix))
            .map(|(account, fen)| v1::Balance { account, fen });
        let (balances, next_page_token) = page.of(balances);
        Ok(Response::new(v1::ListBalancesResponse {
            balances,
            next_page_token,
        }))
    }
}

impl Settlement {
    fn ledger(&self) -> Result<&Ledger, Status> {
        self.ledger.as_ref().ok_or_else(|| {
            let problem = "is not configured: set `ledger` in the engine's configuration";
            refused(Invalid::state("ledger", problem))
        })
    }
}

/// The number of the line that a page ended with.
fn number_after(token: &str) -> Result<i64, Status> {
    if token.is_empty() {
        return Ok(0);
    }
    let problem = "is not a token of an earlier page";
    token
        .parse()
        .map_err(|_| refused(Invalid::new("page_token", problem)))
}

/// The statement that a page ended with.
fn after(token: &str) -> Result<Option<(String, i64)>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let parsed = token.rsplit_once('@').and_then(|(id, version)| {
        let version = version.parse::<i64>().ok()?;
        Some((id.to_owned(), version))
    });
    let problem = "is not a token of an earlier page";
    parsed.map_or_else(
        || Err(refused(Invalid::new("page_token", problem))),
        |parsed| Ok(Some(parsed)),
    )
}

#[allow(clippy::needless_pass_by_value)] // for map_err
pub(super) fn failed(error: LedgerError) -> Status {
    tracing::error!(%error, "the ledger cannot be read");
    Status::unavailable(error.to_string())
}

fn to_wire(statement: Statement) -> v1::Statement {
    let posted = vpp_core::Timestamp::from_timestamp_millis(statement.posted_ms);
    v1::Statement {
        id: statement.id,
        version: statement.version,
        superseded: statement.superseded,
        posted_time: posted.map(vpp_proto::convert::from_timestamp),
        subject: statement.subject,
        aggregator_id: statement.aggregator,
        rules: statement.rules,
        fen: statement.fen,
    }
}

fn line_to_wire(line: Line) -> v1::StatementLine {
    v1::StatementLine {
        station_id: line.station,
        item: line.item,
        wh: line.wh,
        price_cny_per_kwh: line.price,
        fen: line.fen,
        rule: line.rule,
        detail: line.detail,
    }
}
