//! Refusals as gRPC statuses, with the field in the standard error details.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use vpp_core::{Invalid, InvalidKind, RequestId};

use crate::sequencer::Unavailable;

/// A refusal.
pub(crate) fn refused(invalid: Invalid) -> Status {
    let code = match invalid.kind {
        InvalidKind::Value => Code::InvalidArgument,
        InvalidKind::Unknown => Code::NotFound,
        InvalidKind::Taken => Code::AlreadyExists,
        InvalidKind::State => Code::FailedPrecondition,
    };
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation(invalid.field.clone(), invalid.problem.clone());
    Status::with_error_details(code, invalid.to_string(), details)
}

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
pub(crate) fn unexpected(answer: &vpp_dispatch::Answer) -> Status {
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
