//! Amazon Bedrock's control plane: which models there are, and names of a client's own for them.
//!
//! What exists is what the model map leads somewhere; a dated table (`foundation_models.txt`) adds what
//! AWS says of the models it knows. Nothing here asks a model.

mod catalog;
pub(crate) mod foundation_model;
pub(crate) mod inference_profile;
mod limits;
pub(crate) mod prompt_router;
pub(crate) mod tag;
#[cfg(test)]
mod tests;

use sha2::{Digest as _, Sha256};

/// The id of a resource of AWS's form: twelve letters and digits. The same token makes the same id,
/// so that a repeated create finds what the first one made.
fn id(kind: &str, token: &str) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digest = Sha256::digest(format!("{kind}/{token}"));
    digest.iter().take(12).map(|byte| char::from(DIGITS[usize::from(*byte) % 36])).collect()
}
