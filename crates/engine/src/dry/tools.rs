//! The tools of a dry run. INVARIANT: only a call that reads reaches its executor.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use craton_core::agent::event::{Event, Outcome};
use craton_core::agent::tool::mcp::Listed;
use craton_core::agent::tool::{Effect, canonical, simulate};
use craton_core::policy::ToolPolicy;
use exec::Invoked;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value as Json;
use store::{StoreError, Tenant};

use crate::ledger::{State, WantedEffects};
use crate::run::innermost;
use crate::tool::{Asked, ToolCall, ToolError, Tools};
use crate::{Engine, journal, run};

/// Calls of the ledger that are looked at for an earlier answer, the latest.
const EARLIER: usize = 20;
/// Calls of one dry run that are told. A turn makes far fewer.
const TOLD: usize = 10_000;

/// A call of a tool, or of a parser function, in a dry run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryEffect {
    pub tool: String,
    pub class: Effect,
    pub arguments: Json,
    pub source: Source,
    /// The run whose answer stands in, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// Whose answer the model read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The tool's: it was called.
    Real,
    /// One that the tool gave earlier.
    Record,
    /// An instance of what its schema says of answers.
    Schema,
    /// There is neither.
    Nothing,
}

pub(super) struct DryTools {
    live: Engine,
    effects: Mutex<Vec<DryEffect>>,
}

/// What stands in for a tool's answer.
struct StandIn {
    body: String,
    source: Source,
    run: Option<String>,
}

impl DryTools {
    pub(super) fn new(live: Engine) -> Self {
        DryTools { live, effects: Mutex::default() }
    }

    pub(super) fn effects(&self) -> Vec<DryEffect> {
        self.effects.lock().expect("no holder of this lock panics").clone()
    }

    fn note(&self, asked: &Asked, source: Source, run: Option<String>) {
        let (tool, class) = (asked.call.tool.clone(), asked.call.effect);
        self.push(DryEffect { tool, class, arguments: asked.call.input.clone(), source, run });
    }

    fn push(&self, effect: DryEffect) {
        let mut effects = self.effects.lock().expect("no holder of this lock panics");
        if effects.len() < TOLD {
            effects.push(effect);
        }
    }

    /// A fallback is another function than the tool's, and may do more than read.
    async fn reads(&self, call: &ToolCall, asked: &Asked) -> Result<bool, StoreError> {
        if asked.call.effect != Effect::Read || call.function == asked.call.target {
            return Ok(asked.call.effect == Effect::Read);
        }
        let Some((_, action)) = run::action(asked.tool()) else { return Ok(false) };
        let policy = self.policy(&call.tenant, &call.function, &action).await?;
        Ok(policy.effect == Some(Effect::Read))
    }

    async fn stand_in(&self, tenant: &Tenant, asked: &Asked) -> Result<StandIn, StoreError> {
        if let Some((run, body)) = self.earlier(tenant, asked).await? {
            return Ok(StandIn { body, source: Source::Record, run: Some(run) });
        }
        let made = simulate::instance_of(asked.tool(), asked.schema());
        Ok(match made {
            Some(body) => StandIn { body, source: Source::Schema, run: None },
            None => StandIn {
                body: format!("{} was done (simulated in a dry run)", asked.call.tool),
                source: Source::Nothing,
                run: None,
            },
        })
    }

    /// What the tool answered lately: to the same arguments if it did, else to others.
    async fn earlier(
        &self,
        tenant: &Tenant,
        asked: &Asked,
    ) -> Result<Option<(String, String)>, StoreError> {
        let wanted = WantedEffects {
            tool: Some(asked.call.tool.clone()),
            states: vec![State::Done],
            last: EARLIER,
            ..WantedEffects::default()
        };
        let mut rows = self.live.list_effects(tenant, &wanted).await?.effects;
        rows.retain(|row| row.function == asked.call.target);
        let arguments = canonical(&asked.call.input);
        rows.sort_by_key(|row| row.arguments != arguments);
        for row in rows {
            let (events, _) = journal::load(&self.live.0, tenant, &row.run).await?;
            if let Some(body) = answered(&events, &row.key) {
                return Ok(Some((row.run, body)));
            }
        }
        Ok(None)
    }
}

/// What came of the call of a key.
fn answered(events: &[journal::Stamped], key: &str) -> Option<String> {
    use craton_core::agent::event::Intent::Call;
    let mut asked = None;
    for stamped in events {
        let (path, event) = innermost(&stamped.event);
        match (event, &asked) {
            (Event::Asked(Call(call)), None) if call.key == key => {
                asked = Some((path, call.tool_use_id.clone()));
            }
            (Event::ToolReturned(returned), Some((place, id)))
                if *place == path && *id == returned.tool_use_id =>
            {
                return match &returned.outcome {
                    Outcome::Answered { body, .. } => Some(body.clone()),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    None
}

impl Tools for DryTools {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        Box::pin(async move {
            let Some(asked) = call.asked.clone() else {
                // Parser functions are no tools and have no keys. What they are asked they may be asked
                // again at any time, so they read.
                return match call.key {
                    None => {
                        self.push(DryEffect {
                            tool: call.function.clone(),
                            class: Effect::Read,
                            arguments: serde_json::from_slice(&call.payload).unwrap_or_default(),
                            source: Source::Real,
                            run: None,
                        });
                        self.live.tools().call(call).await
                    }
                    Some(_) => Err(ToolError::NoFunction(call.function)),
                };
            };
            if self.reads(&call, &asked).await? {
                self.note(&asked, Source::Real, None);
                return self.live.tools().call(call).await;
            }
            let StandIn { body, source, run } = self.stand_in(&call.tenant, &asked).await?;
            self.note(&asked, source, run);
            let payload = Bytes::from(simulate::envelope(asked.tool(), &body).to_string());
            let (log_tail, duration) = (Vec::new(), Duration::ZERO);
            let (error, retry_after) = (None, None);
            Ok(Invoked { payload, error, log_tail, duration, outcome_known: true, retry_after })
        })
    }

    fn policy<'a>(
        &'a self,
        tenant: &'a Tenant,
        function: &'a str,
        tool: &'a str,
    ) -> BoxFuture<'a, Result<ToolPolicy, StoreError>> {
        self.live.tools().policy(tenant, function, tool)
    }

    fn patience(&self, function: &str) -> Option<Duration> {
        self.live.tools().patience(function)
    }

    fn is_mapped(&self, function: &str) -> bool {
        self.live.tools().is_mapped(function)
    }

    fn memory_mb<'a>(&'a self, tenant: &'a Tenant, function: &'a str) -> BoxFuture<'a, u32> {
        self.live.tools().memory_mb(tenant, function)
    }

    /// What is answered here costs nothing.
    fn is_billed(&self, call: &ToolCall) -> bool {
        call.asked.as_ref().is_none_or(|asked| asked.call.effect == Effect::Read)
    }

    fn mcp_server(&self, function: &str) -> Option<&str> {
        self.live.tools().mcp_server(function)
    }

    fn listing<'a>(
        &'a self,
        tenant: &'a Tenant,
        function: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Listed>, ToolError>> {
        self.live.tools().listing(tenant, function)
    }
}
