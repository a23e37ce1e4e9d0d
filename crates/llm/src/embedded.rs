//! `craton.rules` as a provider like any other: streamed, or in one piece.

use futures_util::stream;
use wire::converse::Call;

use crate::collect::deltas;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use crate::rules;

pub(crate) struct Rules;

/// Characters in one piece of streamed text, about six words.
const PIECE: usize = 32;

impl Provider for Rules {
    fn name(&self) -> &str {
        crate::RULES
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        let piece = if call.stream { PIECE } else { 0 };
        let all = deltas(rules::reply(call), piece);
        Box::pin(async move { Ok(Box::pin(stream::iter(all.into_iter().map(Ok))) as Deltas) })
    }
}
