//! `InvitationService`.

use std::ops::Bound;

use tonic::{Request, Response, Status};
use vpp_core::{Invalid, InvitationId, Power};
use vpp_dispatch::{Answer as Answered, Engine, Invited, Request as Change};
use vpp_ledger::{Filter, Ledger};
use vpp_proto::convert::{Asking, invitation_to_wire};
use vpp_proto::v1;

use super::page::Page;
use super::settlement::failed;
use super::status::{refused, unexpected};
use crate::sequencer::Handle;

pub(crate) struct Invitations {
    pub(crate) handle: Handle,
    /// Where settlements must be before they are recorded; none: they are kept elsewhere.
    pub(crate) ledger: Option<Ledger>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Invitations {
    /// Takes a step, and tells what the invitation is then.
    async fn step(
        &self,
        request_id: String,
        validate_only: bool,
        wire: impl TryInto<Asking, Error = Invalid>,
    ) -> Result<Option<v1::Invitation>, Status> {
        let (invitation, step) = wire.try_into().map_err(refused)?;
        let change = Change::StepInvitation { invitation, step };
        match self
            .handle
            .change(request_id, validate_only, change)
            .await?
        {
            Answered::Invitation(invited) => Ok(Some(to_wire(&invited))),
            other => Err(unexpected(&other)),
        }
    }
}

impl Invitations {
    /// That the ledger has a statement of each aggregator that was taken: nothing counts as judged or paid without figures.
    async fn require_statements(&self, id: &str) -> Result<(), Status> {
        let Some(ledger) = &self.ledger else {
            return Ok(());
        };
        let id = InvitationId::new(id).map_err(refused)?;
        let delivered = move |engine: &Engine| {
            let known = engine.invitations().get(&id);
            let invited = known.ok_or_else(|| Invalid::unknown("invitation_id", &id))?;
            let taken = invited
                .process
                .clearing()
                .map_or(&[][..], |clearing| &clearing.taken);
            let promised = taken.iter().filter(|taken| taken.power > Power::ZERO);
            let aggregators: Vec<String> =
                promised.map(|taken| taken.aggregator.to_string()).collect();
            Ok(invited
                .event
                .as_ref()
                .map(|event| (format!("event/{event}"), aggregators)))
        };
        // Without an event there is nothing to settle, and the engine says so.
        let Some((subject, aggregators)) = self
            .handle
            .try_ask(move |engine, _| delivered(engine))
            .await?
        else {
            return Ok(());
        };
        for aggregator in aggregators {
            let filter = Filter {
                subject: Some(subject.clone()),
                aggregator: Some(aggregator.clone()),
                ..Filter::default()
            };
            let found = ledger.statements(&filter, 1).await.map_err(failed)?;
            // One that was taken back stands there without rules.
            if found
                .first()
                .is_none_or(|statement| statement.rules.is_empty())
            {
                let problem = format!(
                    "there is no statement of {subject} for {aggregator}: settle it first, with `vpp settle --ledger` or \
                     `vpp settle-month --ledger`"
                );
                return Err(refused(Invalid::state("ledger", problem)));
            }
        }
        Ok(())
    }
}

fn to_wire(invited: &Invited) -> v1::Invitation {
    invitation_to_wire(&invited.id, &invited.process, invited.event.as_ref())
}

#[tonic::async_trait]
impl v1::invitation_service_server::InvitationService for Invitations {
    async fn publish_invitation(
        &self,
        request: Request<v1::PublishInvitationRequest>,
    ) -> Answer<v1::PublishInvitationResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let invitation = self.step(id, validate_only, request).await?;
        Ok(Response::new(v1::PublishInvitationResponse { invitation }))
    }

    async fn declare(&self, request: Request<v1::DeclareRequest>) -> Answer<v1::DeclareResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let invitation = self.step(id, validate_only, request).await?;
        Ok(Response::new(v1::DeclareResponse { invitation }))
    }

    async fn withdraw_declaration(
        &self,
        request: Request<v1::WithdrawDeclarationRequest>,
    ) -> Answer<v1::WithdrawDeclarationResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let invitation = self.step(id, validate_only, request).await?;
        Ok(Response::new(v1::WithdrawDeclarationResponse {
            invitation,
        }))
    }

    async fn cancel_invitation(
        &self,
        request: Request<v1::CancelInvitationRequest>,
    ) -> Answer<v1::CancelInvitationResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let invitation = self.step(id, validate_only, request).await?;
        Ok(Response::new(v1::CancelInvitationResponse { invitation }))
    }

    async fn record_settlement(
        &self,
        request: Request<v1::RecordSettlementRequest>,
    ) -> Answer<v1::RecordSettlementResponse> {
        let request = request.into_inner();
        self.require_statements(&request.invitation_id).await?;
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let invitation = self.step(id, validate_only, request).await?;
        Ok(Response::new(v1::RecordSettlementResponse { invitation }))
    }

    async fn get_invitation(
        &self,
        request: Request<v1::GetInvitationRequest>,
    ) -> Answer<v1::GetInvitationResponse> {
        let id = InvitationId::new(request.into_inner().invitation_id).map_err(refused)?;
        let invitation = self
            .handle
            .try_ask(move |engine, _| {
                let known = engine.invitations().get(&id).map(to_wire);
                known.ok_or_else(|| Invalid::unknown("invitation_id", id))
            })
            .await?;
        Ok(Response::new(v1::GetInvitationResponse {
            invitation: Some(invitation),
        }))
    }

    async fn list_invitations(
        &self,
        request: Request<v1::ListInvitationsRequest>,
    ) -> Answer<v1::ListInvitationsResponse> {
        let request = request.into_inner();
        // By name: what is published meanwhile shifts nothing.
        let size = Page::parse(request.page_size, "")?.size();
        let after = match request.page_token {
            token if token.is_empty() => Bound::Unbounded,
            token => Bound::Excluded(InvitationId::new(token).map_err(refused)?),
        };
        let (invitations, more): (Vec<v1::Invitation>, bool) = self
            .handle
            .ask(move |engine, _| {
                let mut rest = engine.invitations().range((after, Bound::Unbounded));
                let page = rest
                    .by_ref()
                    .take(size)
                    .map(|(_, invited)| to_wire(invited));
                (page.collect(), rest.next().is_some())
            })
            .await?;
        let last = invitations.last().filter(|_| more);
        let next_page_token = last.map_or(String::new(), |last| last.invitation_id.clone());
        Ok(Response::new(v1::ListInvitationsResponse {
            invitations,
            next_page_token,
        }))
    }
}
