//! IAM's exceptions. Messages that clients are known to read are AWS's own, each marked.

use wire::fault::Fault;

use crate::edit::Undone;

pub(super) fn no_such(message: impl Into<String>) -> Fault {
    Fault::new("NoSuchEntityException", 404, message)
}

/// AWS: this wording (GetRole).
pub(super) fn no_role(name: &str) -> Fault {
    no_such(format!("The role with name {name} cannot be found."))
}

pub(super) fn exists(message: impl Into<String>) -> Fault {
    Fault::new("EntityAlreadyExistsException", 409, message)
}

/// AWS: this wording (IAM quotas).
pub(super) fn beyond(quota: &str, most: usize) -> Fault {
    let message = format!("Cannot exceed quota for {quota}: {most}");
    Fault::new("LimitExceededException", 409, message)
}

pub(super) fn in_use(message: &str) -> Fault {
    Fault::new("DeleteConflictException", 409, message)
}

pub(super) fn malformed(message: impl Into<String>) -> Fault {
    Fault::new("MalformedPolicyDocumentException", 400, message)
}

pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidInputException", 400, message)
}

pub(super) fn busy() -> Fault {
    let message = "the entity is being changed by other requests; try again";
    Fault::new("ConcurrentModificationException", 409, message)
}

pub(super) fn undone_role(undone: Undone, name: &str) -> Fault {
    match undone {
        Undone::Missing => no_role(name),
        Undone::Busy => busy(),
        Undone::Fault(fault) => fault,
    }
}
