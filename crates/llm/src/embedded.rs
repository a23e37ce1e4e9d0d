//! The providers that are part of the binary: pure functions from a call to a reply, streamed or in
//! one piece. They are no language models, and whatever they answer says so under their own names.

use futures_util::stream;
use serde::Deserialize;
use wire::converse::{Call, Reply};

use crate::clumsy;
use crate::collect::deltas;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::rules;

/// The providers' names, in headers, traces and logs.
pub const RULES: &str = "rules";
pub const CLUMSY: &str = "clumsy";
pub const HASHING: &str = "hashing";

/// The model ids that always mean them, unless a rule of the map says otherwise. A seed follows the
/// second one.
pub const RULES_MODEL: &str = "craton.rules";
pub(crate) const CLUMSY_MODEL: &str = "craton.clumsy";
/// How long its vectors are may follow, as in `craton.hash:512`.
pub(crate) const HASH_MODEL: &str = "craton.hash";

/// Whether no language model speaks under this name.
pub fn is_embedded(provider: &str) -> bool {
    [RULES, CLUMSY, HASHING].contains(&provider)
}

pub(crate) struct Rules;

impl Provider for Rules {
    fn name(&self) -> &str {
        RULES
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move { Ok(said(rules::reply(call), call.stream)) })
    }
}

/// `[providers.NAME]` with `kind = "clumsy"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClumsyConfig {
    /// How it stumbles; the number at the end of the model's name if left out.
    pub seed: Option<u64>,
}

/// `craton.clumsy`.
pub struct Clumsy {
    seed: Option<u64>,
}

impl Clumsy {
    /// With the seed, or with the one that each model's name ends in.
    pub fn new(seed: Option<u64>) -> Clumsy {
        Clumsy { seed }
    }
}

impl Provider for Clumsy {
    fn name(&self) -> &str {
        CLUMSY
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            let seed = self.seed.or_else(|| seed_in(&call.model)).ok_or_else(|| {
                let example = format!("{CLUMSY_MODEL}:7");
                let model = &call.model;
                ModelError::refused(format!("{model:?} has no seed; write it as in {example:?}"))
            })?;
            Ok(said(clumsy::reply(call, seed), call.stream))
        })
    }
}

/// The number that a model's name ends in, after a colon.
fn seed_in(model: &str) -> Option<u64> {
    model.rsplit_once(':')?.1.parse().ok()
}

/// Characters in one piece of streamed text, about six words.
const PIECE: usize = 32;

fn said(reply: Reply, stream: bool) -> Deltas {
    let all = deltas(reply, if stream { PIECE } else { 0 });
    Box::pin(stream::iter(all.into_iter().map(Ok)))
}
