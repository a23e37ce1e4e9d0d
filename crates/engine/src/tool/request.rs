//! The request of one call, as its tool gets it: the Lambda event, and the call's key in each place
//! where tools look for one (the event, the `idempotency-key` header, the client context).

use std::sync::Arc;

use bytes::Bytes;
use craton_core::agent::event::Call;
use craton_core::agent::tool::{self, EventContext};
use craton_core::agent::turn::Agent;
use serde_json::{Value as Json, json};
use store::Tenant;

use super::{Asked, ToolCall};

/// On whose behalf tools are called.
pub(crate) struct Sender<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) run: &'a str,
    pub(crate) agent: &'a Arc<Agent>,
    /// Its key is each call's own.
    pub(crate) context: EventContext<'a>,
}

impl Sender<'_> {
    /// `extension` is the event's member `craton`, which is ours and not AWS's.
    pub(crate) fn request(&self, call: &Call, extension: Option<Json>) -> ToolCall {
        ToolCall {
            tenant: self.tenant.clone(),
            function: call.target.clone(),
            payload: self.event(call, extension),
            request_id: self.run.to_owned(),
            key: Some(call.key.clone()),
            client_context: Some(json!({"custom": {"idempotencyKey": call.key}}).to_string()),
            timeout: None,
            asked: Asked::new(self.agent, call),
        }
    }

    fn event(&self, call: &Call, extension: Option<Json>) -> Bytes {
        let Some(tool) = self.agent.tool(&call.tool) else { return Bytes::new() };
        let context = EventContext { idempotency_key: &call.key, ..self.context };
        let mut event = tool::lambda_event(&context, tool, &call.input);
        if let Some(extension) = extension {
            event["craton"] = extension;
        }
        Bytes::from(serde_json::to_vec(&event).expect("a JSON value serialises"))
    }
}
