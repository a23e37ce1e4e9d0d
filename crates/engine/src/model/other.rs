//! What else one asks of a model's provider: vectors of texts, and how long a call is.

use craton_core::route::StepKind;
use llm::{EmbedCall, Embedded, ModelError, tokens};
use store::Tenant;
use wire::converse::{Block, Call, Inference, Message, Role, Usage};

use super::account::{Account, Bearer, Ended, How};
use super::chain::{self, Bounds, Chain};
use super::{Payer, again, doors, resolve, stored};
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
    /// The provider's name and the vectors, by the same doors as replies: limits, breaker, attempts,
    /// and who pays. No other model stands in, because vectors of two models cannot be compared.
    pub async fn embed(&self, wanted: Embedding) -> Result<(String, Embedded), ModelError> {
        let inner = &self.0;
        let Embedding { tenant, payer, call: mut wanted } = wanted;
        let behind = stored::behind(&inner.store, &tenant, &wanted.model).await?;
        let model = behind.unwrap_or_else(|| wanted.model.clone());
        let mut call = as_call(&model, &wanted);
        let bearer = Bearer { tenant, kind: StepKind::RetrievalText, payer };
        let (tokens, now) = (|| chain::estimate(&call), || inner.clock.now());
        let paid = doors::enter_payer(&inner.gateway.doors, &bearer, tokens, now).await?;
        let links = vec![model];
        let mut account = Account::admit(inner, bearer, &mut call, &links, paid).await?;
        let bounds = Bounds { restricted: false, provisioned: None };
        let mut chain = Chain::new(links, bounds, &call);
        loop {
            let made = chain.vectors(inner, &mut account, (&call, &mut wanted)).await;
            let error = match made {
                Ok(embedded) => {
                    let provider = account.provider.clone();
                    let usage = Usage { input_tokens: embedded.input_tokens, ..Usage::default() };
                    account.settle(Ended { how: How::Answered, usage: Some(usage), heard: 0 });
                    return Ok((provider, embedded));
                }
                Err(error) => error,
            };
            if let Err(error) = chain.go_on(inner, &mut account, &mut call, error).await {
                account.settle(Ended { how: How::failed(&error), usage: None, heard: 0 });
                return Err(error);
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

/// What a call for vectors counts as where calls are weighed: its texts, and no output.
fn as_call(model: &str, wanted: &EmbedCall) -> Call {
    let content = wanted.texts.iter().cloned().map(Block::Text).collect();
    Call {
        model: model.to_owned(),
        system: Vec::new(),
        messages: vec![Message { role: Role::User, content }],
        tools: [].into(),
        tool_choice: Default::default(),
        inference: Inference { max_tokens: Some(0), ..Inference::default() },
        cache: Default::default(),
        additional: serde_json::Value::Null,
        options: Default::default(),
        stream: false,
    }
}
