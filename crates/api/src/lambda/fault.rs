//! Lambda's exceptions.

use wire::fault::Fault;

use crate::edit::Undone;

pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValueException", 400, message)
}

/// A member whose feature Craton lacks.
pub(super) fn unserved(member: &str, feature: &str) -> Fault {
    invalid(format!("{member}: craton does not serve {feature} yet; leave the member out"))
}

pub(super) fn not_found(message: impl Into<String>) -> Fault {
    Fault::new("ResourceNotFoundException", 404, message)
}

pub(super) fn conflict(message: impl Into<String>) -> Fault {
    Fault::new("ResourceConflictException", 409, message)
}

pub(super) fn stale_revision() -> Fault {
    let message = "the RevisionId does not match the latest one; read the function or its policy \
                   again and repeat the change on what stands";
    Fault::new("PreconditionFailedException", 412, message)
}

/// `missing` makes the exception for a function that is not there.
pub(super) fn undone(undone: Undone, missing: impl FnOnce() -> Fault) -> Fault {
    match undone {
        Undone::Missing => missing(),
        Undone::Busy => conflict("the function is being changed by other requests; try again"),
        Undone::Fault(fault) => fault,
    }
}
