//! InvokeAgent: from an alias to a pinned configuration, and from a request to a turn.

use craton_core::agent::recall::Recall;
use engine::dry::DryError;
use engine::live::Out;
use engine::request::{Hearing, Input, InvokeError, TurnRequest};
use futures_core::stream::BoxStream;
use wire::bedrock_agent_runtime::types::{
    InvokeAgentRequest, InvokeAgentResponse, PerformanceConfigLatency, PerformanceConfiguration,
    PromptCreationConfigurations,
};
use wire::fault::Fault;
use wire::shape::Shape as _;
use wire::value::Value;

use super::{file, response_stream, session_state, team};
use crate::bedrock_agent::document::{self, AgentAlias, missing, tenant};
use crate::bedrock_agent::feature::refused;
use crate::cx::Cx;
use crate::model_fault;
use crate::reply::{Events, Reply};

pub(crate) async fn invoke(cx: &Cx, input: InvokeAgentRequest) -> Result<Reply, Fault> {
    let (session_id, memory_id) = (input.session_id.clone(), input.memory_id.clone());
    let request = request(cx, input).await?;
    let hearing = hear(cx, request).await?;
    let head = InvokeAgentResponse { content_type: CONTENT_TYPE.to_owned(), memory_id, session_id };
    let events = response_stream::events;
    Ok(reply(cx, head.into_value(), hearing, events))
}

/// The turn as its client hears it; a dry one where the request says so.
pub(super) async fn hear(cx: &Cx, request: TurnRequest) -> Result<Hearing, Fault> {
    match cx.request.dry_run {
        true => cx.engine.dry_hear(request).await.map_err(dry_fault),
        false => cx.engine.invoke(request).await.map_err(fault),
    }
}

/// Begins the turn that is asked for, or goes on with one.
pub(crate) async fn begin(cx: &Cx, input: InvokeAgentRequest) -> Result<Hearing, Fault> {
    let request = request(cx, input).await?;
    cx.engine.invoke(request).await.map_err(fault)
}

/// What is asked of the engine.
pub(crate) async fn request(cx: &Cx, input: InvokeAgentRequest) -> Result<TurnRequest, Fault> {
    check(&input)?;
    let mut given = input.session_state.unwrap_or_default();
    let attached = given.files.take().unwrap_or_default();
    let state = session_state::read(given)?;
    let asked = asked(input.end_session, input.input_text, state.results)?;
    let Led { config, provisioned } = led(cx, &input.agent_id, &input.agent_alias_id).await?;
    let files = file::read(cx, attached, &asked).await?;
    let streaming = input.streaming_configurations.unwrap_or_default();
    Ok(TurnRequest {
        tenant: tenant(cx),
        request: cx.request.id.clone(),
        repeat: cx.request.invocation_id.clone(),
        agent_id: input.agent_id,
        alias_id: input.agent_alias_id,
        session_id: input.session_id,
        config,
        input: asked,
        session_attributes: state.session_attributes,
        prompt_session_attributes: state.prompt_session_attributes,
        conversation: state.conversation,
        files,
        memory_id: input.memory_id,
        recall: recall(input.prompt_creation_configurations),
        stream: streaming.stream_final_response.unwrap_or(false),
        trace: input.enable_trace.unwrap_or(false),
        provisioned,
    })
}

// AWS: the content type of every answer (a response printed in
// severity1/custom-amazon-bedrock-agent-action issue 16).
pub(super) const CONTENT_TYPE: &str = "application/json";

/// A dry run is marked as one; no list has it, so its id leads nowhere.
pub(super) fn reply(
    cx: &Cx,
    head: Value,
    hearing: Hearing,
    events: fn(BoxStream<'static, Out>) -> Events,
) -> Reply {
    let reply = Reply::stream(head, events(hearing.outs)).by(&hearing.provider);
    match cx.request.dry_run {
        true => reply.header("x-craton-dry-run", "true"),
        false => reply.header("x-craton-run-id", hearing.run),
    }
}

/// Fields whose feature has not landed stand at their defaults. `applyGuardrailInterval` may have
/// any value: it says how often a guardrail is asked, and no agent here can have one.
fn check(input: &InvokeAgentRequest) -> Result<(), Fault> {
    if let Some(arn) = &input.source_arn {
        return Err(refused("sourceArn", arn, "policies that look at the source of a request"));
    }
    let models = input.bedrock_model_configurations.as_ref();
    check_performance(models.and_then(|models| models.performance_config.as_ref()))
}

pub(super) fn check_performance(asked: Option<&PerformanceConfiguration>) -> Result<(), Fault> {
    match asked.and_then(|asked| asked.latency) {
        Some(latency @ PerformanceConfigLatency::Optimized) => {
            let field = "bedrockModelConfigurations.performanceConfig.latency";
            Err(refused(field, latency.as_str(), "latency classes of models"))
        }
        Some(PerformanceConfigLatency::Standard) | None => Ok(()),
    }
}

pub(super) fn recall(asked: Option<PromptCreationConfigurations>) -> Recall {
    let asked = asked.unwrap_or_default();
    let exchanges = asked.previous_conversation_turns_to_include;
    Recall {
        // More than can be counted is all there is.
        exchanges: exchanges.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        without_thoughts: asked.exclude_previous_thinking_steps.unwrap_or(false),
    }
}

/// AWS: with results, `inputText` is ignored (API reference, `SessionState`).
pub(super) fn asked(
    end: Option<bool>,
    text: Option<String>,
    results: Option<session_state::Results>,
) -> Result<Input, Fault> {
    if end == Some(true) {
        return Ok(Input::EndSession);
    }
    if let Some(session_state::Results { invocation_id, results }) = results {
        return Ok(Input::Results { invocation_id, results });
    }
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Ok(Input::Text(text)),
        None => Err(Fault::validation(
            "either inputText or sessionState.returnControlInvocationResults must be given",
        )),
    }
}

/// What an alias leads to.
struct Led {
    /// The digest of a configuration.
    config: String,
    provisioned: Option<String>,
}

/// The digest of the configuration behind an alias.
pub(crate) async fn config(cx: &Cx, agent_id: &str, alias_id: &str) -> Result<String, Fault> {
    led(cx, agent_id, alias_id).await.map(|led| led.config)
}

async fn led(cx: &Cx, agent_id: &str, alias_id: &str) -> Result<Led, Fault> {
    if cx.engine.plays() {
        // A cassette has the configuration, and there is no alias.
        return Ok(Led { config: String::new(), provisioned: None });
    }
    let alias = document::alias(cx, agent_id, alias_id).await?.value;
    check_running(&alias)?;
    let config = alias.config.ok_or_else(|| {
        Fault::validation(format!(
            "agent {agent_id} has not been prepared yet; call PrepareAgent and try again"
        ))
    })?;
    Ok(Led { config: team::composed(cx, config).await?, provisioned: alias.provisioned })
}

fn check_running(alias: &AgentAlias) -> Result<(), Fault> {
    if alias.paused {
        return Err(Fault::validation(format!(
            "agent alias {} is paused; set its aliasInvocationState to ACCEPT_INVOCATIONS with \
             UpdateAgentAlias",
            alias.alias_id
        )));
    }
    Ok(())
}

pub(crate) fn dry_fault(error: DryError) -> Fault {
    match error {
        DryError::Invoke(error) => fault(error),
        DryError::TooLong => Fault::new("ModelTimeoutException", 408, error.to_string()),
        DryError::Stopping => Fault::throttling(error.to_string()),
        DryError::Store(error) => Fault::internal(error),
        DryError::Commit(error) => Fault::internal(error),
    }
}

pub(crate) fn fault(error: InvokeError) -> Fault {
    match error {
        InvokeError::Invalid(message) => Fault::validation(message),
        InvokeError::Conflict(message) => Fault::conflict(message),
        InvokeError::Throttled(message) => Fault::throttling(message),
        InvokeError::Model(error) => model_fault::of_agent(error),
        InvokeError::NoConfig(digest) => missing("configuration", &digest),
        InvokeError::Store(error) => Fault::internal(error),
    }
}
