//! Refusals as gRPC statuses, with the field in the standard error details.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use vpp_core::{Invalid, InvalidKind};

/// A refusal, to the wire.
#[must_use]
pub fn refused(invalid: Invalid) -> Status {
    let code = match invalid.kind {
        InvalidKind::Value => Code::InvalidArgument,
        InvalidKind::Unknown => Code::NotFound,
        InvalidKind::Taken => Code::AlreadyExists,
        InvalidKind::State => Code::FailedPrecondition,
    };
    let message = invalid.to_string();
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation(invalid.field, invalid.problem);
    Status::with_error_details(code, message, details)
}
