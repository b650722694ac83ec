//! Refusals as gRPC statuses, with the field in the standard error details.

use tonic::Status;
use vpp_core::{Invalid, RequestId, Timestamp};
use vpp_dispatch::{Answer, Engine, Request};
pub(crate) use vpp_proto::convert::refused;

use crate::sequencer::{Handle, Unavailable};

/// The engine cannot take it now.
pub(crate) fn unavailable(unavailable: Unavailable) -> Status {
    match unavailable {
        Unavailable::Busy => {
            Status::resource_exhausted("the engine has more to do than it can; try again")
        }
        Unavailable::Stopped => Status::unavailable("the engine is stopping"),
    }
}

/// The engine answered something else than it was asked: an error of ours.
pub(crate) fn unexpected(answer: &Answer) -> Status {
    Status::internal(format!("an answer that does not fit: {answer:?}"))
}

/// A message that must be there.
pub(crate) fn required<T>(field: &str, message: Option<T>) -> Result<T, Status> {
    message.ok_or_else(|| refused(Invalid::new(field, "is missing")))
}

/// The caller's name for a request.
pub(crate) fn request_id(text: String) -> Result<RequestId, Status> {
    RequestId::new(text).map_err(refused)
}

impl Handle {
    /// Asks the engine for a change.
    pub(crate) async fn change(
        &self,
        id: String,
        validate_only: bool,
        change: Request,
    ) -> Result<Answer, Status> {
        let id = request_id(id)?;
        let answer = self.request(id, validate_only, change).await;
        answer.map_err(unavailable)?.map_err(refused)
    }

    /// Asks the engine something that can always be answered.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Status> {
        self.query(question).await.map_err(unavailable)
    }

    /// Asks the engine something that it may refuse.
    pub(crate) async fn try_ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine, Timestamp) -> Result<T, Invalid> + Send + 'static,
    ) -> Result<T, Status> {
        self.ask(question).await?.map_err(refused)
    }
}
