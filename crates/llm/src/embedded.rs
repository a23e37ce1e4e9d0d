//! `craton.rules` as a provider like any other: streamed, or in one piece.

use futures_util::stream;
use wire::converse::Call;

use crate::provider::{BoxFuture, Deltas, ModelError, Provider};

pub(crate) struct Rules;

impl Provider for Rules {
    fn name(&self) -> &str {
        "rules"
    }

    fn converse(&self, _call: Call) -> BoxFuture<'_, Result<Deltas, ModelError>> {
        let error = ModelError::refused("craton.rules is not part of this build");
        Box::pin(async move { Ok(Box::pin(stream::iter([Err(error)])) as Deltas) })
    }
}
