//! What else one asks of a model's provider: vectors of texts, and how long a call is.
//!
//! Both pass the doors that calls pass: who pays, restricted data, room, breakers, repeats. Nobody
//! stands in. A count is nothing that anybody is billed for: it has no account.

use std::collections::BTreeMap;

use craton_core::policy::breaker::Ending;
use craton_core::route::StepKind;
use llm::{EmbedCall, Embedded, ModelError, Resolved, tokens};
use store::Tenant;
use wire::converse::{Block, Call, Inference, Message, Role};

use super::account::{self, Account, Bearer, How};
use super::chain::{self, Bounds, Chain};
use super::gate::Room;
use super::{Payer, Waiting, Way, doors, retry, route, stored};
use crate::spend::Line;
use crate::{Engine, Inner};

/// Texts to be made into vectors, and on whose account.
#[derive(Debug, Clone)]
pub struct Embedding {
    pub tenant: Tenant,
    pub payer: Payer,
    pub call: EmbedCall,
    /// What the client says of it in the words of `requestMetadata`.
    pub said: BTreeMap<String, String>,
}

/// How many tokens a call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub tokens: u64,
    /// Nobody who knows the model counted.
    pub estimated: bool,
}

impl Engine {
    /// The provider's name and the vectors, by the same doors as replies. No other model stands in,
    /// because vectors of two models cannot be compared.
    pub async fn embed(&self, wanted: Embedding) -> Result<(String, Embedded), ModelError> {
        let inner = &self.0;
        let Embedding { tenant, payer, call: mut wanted, said } = wanted;
        let mut restricted = route::says_restricted(&said);
        if let Some(made) = stored::made(&inner.store, &tenant, &wanted.model).await? {
            restricted |= made.restricted;
            made.what.model().clone_into(&mut wanted.model);
        }
        let mut call = as_call(&wanted);
        let (kind, line) = (StepKind::RetrievalText, Line::Knowledge);
        let bearer = Bearer { tenant, kind, payer, line };
        let (tokens, now) = (|| chain::estimate(&call), || inner.clock.now());
        let paid = doors::enter_payer(&inner.gateway.doors, &bearer, tokens, now).await?;
        let account = Account::admit(inner, bearer, &mut call, &[], paid).await?;
        let bounds = Bounds { restricted, provisioned: None };
        let chain = Chain::new(None, Vec::new(), bounds, &call);
        let mut waiting = Waiting(Some(Way { account, chain, call, key: None, chosen: None }));
        let made = vectors(inner, waiting.way(), &mut wanted).await;
        let Way { account, call, .. } = waiting.over();
        match made {
            Ok(embedded) => {
                let provider = account.provider.clone();
                account.answered(&call);
                Ok((provider, embedded))
            }
            Err(error) => {
                account.settle(How::Failed);
                Err(error)
            }
        }
    }

    /// The provider's own count, else an estimate, which is made here: restricted data is counted by
    /// nobody who is not local.
    pub async fn count_tokens(
        &self,
        tenant: &Tenant,
        mut call: Call,
    ) -> Result<Counted, ModelError> {
        let inquiry =
            Inquiry::new(&self.0, (tenant, &call.model), route::restricted(&call)).await?;
        call.model.clone_from(&inquiry.resolved.model);
        let counted = match inquiry.is_barred() {
            true => None,
            false => {
                let (kind, payer) = (StepKind::Planning, Payer::default());
                let (tenant, line) = (tenant.clone(), Line::Model);
                inquiry.run(Bearer { tenant, kind, payer, line }, &call).await?
            }
        };
        if let Some(tokens) = counted {
            return Ok(Counted { tokens, estimated: false });
        }
        // Reading the vocabulary and long texts takes longer than a task may hold its thread.
        let estimate = tokio::task::spawn_blocking(move || tokens::estimate(&call)).await;
        let estimate = estimate.expect("an estimate does not panic, and nobody cancels it");
        Ok(Counted { tokens: estimate?, estimated: true })
    }
}

/// Asks until there are vectors or no further attempt is to be made.
async fn vectors(
    inner: &Inner,
    way: &mut Way,
    wanted: &mut EmbedCall,
) -> Result<Embedded, ModelError> {
    let Way { account, chain, call, .. } = way;
    loop {
        match chain.vectors(inner, account, (call, wanted)).await {
            Ok(embedded) => return Ok(embedded),
            Err(error) => chain.go_on(inner, account, call, error).await?,
        }
    }
}

/// How long a call is, asked of its provider.
struct Inquiry<'a> {
    inner: &'a Inner,
    resolved: Resolved,
    restricted: bool,
}

impl<'a> Inquiry<'a> {
    async fn new(
        inner: &'a Inner,
        (tenant, id): (&Tenant, &str),
        restricted: bool,
    ) -> Result<Inquiry<'a>, ModelError> {
        let (resolved, tagged) = stored::resolve_with(inner, tenant, id).await?;
        Ok(Inquiry { inner, resolved, restricted: restricted || tagged })
    }

    /// Whether the data may not go to this provider.
    fn is_barred(&self) -> bool {
        self.restricted && !self.resolved.local
    }

    /// Asks until there is an answer or no sense in another attempt.
    async fn run(&self, bearer: Bearer, call: &Call) -> Result<Option<u64>, ModelError> {
        let (inner, doors) = (self.inner, &self.inner.gateway.doors);
        let now = || inner.clock.now();
        let mut paid = doors::enter_payer(doors, &bearer, || 0, now).await?;
        let mut done = 0;
        loop {
            let mut room = self.room().await?;
            let door = doors.provider(&self.resolved);
            let pass = door.map(|door| door.ask(now())).transpose()?;
            let probe = pass.as_ref().is_some_and(doors::Pass::is_probe);
            done += 1;
            room.use_up();
            paid.use_up();
            let counted = self.resolved.provider.count_tokens(call).await;
            if let Some(pass) = pass {
                let ending = counted.as_ref().map_or_else(retry::ending, |_| Ending::Well);
                account::ended(inner, &bearer.tenant, pass, ending);
            }
            drop(room);
            let error = match counted {
                Ok(counted) => return Ok(counted),
                Err(error) => error,
            };
            match retry::repeat(inner, door, (done, probe), &error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// One request, and none of the minute's tokens.
    async fn room(&self) -> Result<Room, ModelError> {
        let (doors, mut room) = (&self.inner.gateway.doors, Room::default());
        for gate in doors.of_model(&self.resolved, None) {
            room.enter(gate, 0, self.inner.clock.now(), doors.patience()).await?;
        }
        Ok(room)
    }
}

/// What a call for vectors counts as where calls are weighed: its texts, and no output.
fn as_call(wanted: &EmbedCall) -> Call {
    let content = wanted.texts.iter().cloned().map(Block::Text).collect();
    Call {
        model: wanted.model.clone(),
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
