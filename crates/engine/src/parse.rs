//! Performs the reading of a reply by an agent's parser function.
//!
//! A parser changes nothing outside, so it is asked again whenever its answer was lost. Whatever goes
//! wrong ends the turn with an exception and leaves the session usable; what the reply means is
//! never guessed in its place.

use std::sync::Arc;

use bytes::Bytes;
use craton_core::agent::event::{Event, Parse, Parsed, Verdict};
use craton_core::agent::prompt::parser;
use craton_core::agent::tool;
use craton_core::agent::turn::Agent;

use crate::Inner;
use crate::run::{Place, Run};
use crate::tool::{ToolCall, call::call_reader};

/// One call of a parser function.
pub(crate) struct ParserCall {
    parse: Parse,
    agent: Arc<Agent>,
    request: ToolCall,
}

impl ParserCall {
    pub(crate) fn new(run: &Run, place: Place<'_>, parse: Parse) -> Self {
        let config = &place.agent.config;
        let accepted = place.turn.accepted.as_ref();
        let who = parser::Who {
            name: &config.agent_name,
            id: &config.agent_id,
            alias: accepted.map_or("", |accepted| accepted.alias_id.as_str()),
            version: &config.agent_version,
        };
        let event = place.turn.stages.heard.as_ref().map(|heard| parser::event(&who, heard));
        let request = ToolCall {
            tenant: run.tenant.clone(),
            function: parse.target.clone(),
            payload: Bytes::from(event.unwrap_or_default().to_string()),
            request_id: run.id.clone(),
            key: None,
            client_context: None,
            timeout: None,
            asked: None,
        };
        ParserCall { parse, agent: place.agent.clone(), request }
    }

    /// What the function gets.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.request.payload
    }
}

pub(crate) async fn ask_parser(inner: &Inner, call: ParserCall) -> Event {
    let begun = inner.clock.now();
    let ParserCall { parse, agent, request } = call;
    let (attempts, answer) = call_reader(inner, &request).await;
    let read = match answer {
        Ok(invoked) if invoked.error.is_some() => Err(tool::function_error(&invoked.payload)),
        Ok(invoked) => parser::verdict(parse.purpose, &agent.tools, &invoked.payload),
        Err(error) => Err(error.to_string()),
    };
    let verdict = read.unwrap_or_else(|why| {
        tracing::warn!(function = parse.target, why, "a parser function cannot be used");
        Verdict::Failed { message: failed(&parse, &why) }
    });
    let millis = u64::try_from(inner.clock.now() - begun).unwrap_or(0);
    let cost = Some(inner.tool_cost(&request, attempts, millis).await);
    let (purpose, step) = (parse.purpose, parse.step);
    Event::Parsed(Box::new(Parsed { purpose, step, verdict, millis, cost }))
}

fn failed(parse: &Parse, why: &str) -> String {
    let (function, stage) = (&parse.target, parse.purpose.stage().name());
    format!("the parser function {function} failed on a reply of {stage}: {why}")
}
