//! What else one asks of a model's provider: vectors of texts, and how long a call is.

use llm::{EmbedCall, Embedded, ModelError, tokens};
use store::Tenant;
use wire::converse::Call;

use super::{Payer, again, resolve};
use crate::Engine;

/// Texts to be made into vectors, and on whose account.
#[derive(Debug, Clone)]
pub struct Embedding {
    pub tenant: Tenant,
    pub payer: Payer,
    pub call: EmbedCall,
}

/// How many tokens a call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub tokens: u64,
    /// Nobody who knows the model counted.
    pub estimated: bool,
}

impl Engine {
    /// The provider's name and the vectors. What fails in passing is asked again, as calls are.
    pub async fn embed(&self, wanted: Embedding) -> Result<(String, Embedded), ModelError> {
        let resolved = resolve(&self.0, &wanted.tenant, &wanted.call.model).await?;
        let call = EmbedCall { model: resolved.model.clone(), ..wanted.call };
        let mut attempts = 0;
        loop {
            attempts += 1;
            match resolved.provider.embed(&call).await {
                Ok(embedded) => return Ok((resolved.provider_name, embedded)),
                Err(error) => again(&self.0, attempts, error).await?,
            }
        }
    }

    /// The provider's own count, else an estimate.
    pub async fn count_tokens(
        &self,
        tenant: &Tenant,
        mut call: Call,
    ) -> Result<Counted, ModelError> {
        let resolved = resolve(&self.0, tenant, &call.model).await?;
        call.model.clone_from(&resolved.model);
        let mut attempts = 0;
        loop {
            attempts += 1;
            match resolved.provider.count_tokens(&call).await {
                Ok(Some(tokens)) => return Ok(Counted { tokens, estimated: false }),
                Ok(None) => break,
                Err(error) => again(&self.0, attempts, error).await?,
            }
        }
        // Reading the vocabulary and long texts takes longer than a task may hold its thread.
        let estimate = tokio::task::spawn_blocking(move || tokens::estimate(&call)).await;
        let estimate = estimate.expect("an estimate does not panic, and nobody cancels it");
        Ok(Counted { tokens: estimate?, estimated: true })
    }
}
