//! aws-sdk-bedrockagent and aws-sdk-bedrockagentruntime: an agent is made, and invoked.

use std::error::Error;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_bedrockagent as control;
use aws_sdk_bedrockagent::operation::get_agent::GetAgentError;
use aws_sdk_bedrockagent::types::{
    ActionGroupExecutor, AgentAliasStatus, CustomControlMethod, Function, FunctionSchema,
    ParameterDetail, Type,
};
use aws_sdk_bedrockagentruntime as runtime;
use aws_sdk_bedrockagentruntime::error::ProvideErrorMetadata;
use aws_sdk_bedrockagentruntime::operation::invoke_agent::InvokeAgentOutput;
use aws_sdk_bedrockagentruntime::operation::invoke_agent::builders::InvokeAgentFluentBuilder;
use aws_sdk_bedrockagentruntime::types::error::ResponseStreamError;
use aws_sdk_bedrockagentruntime::types::{
    ContentBody, FunctionResult, InvocationInputMember, InvocationResultMember, ResponseStream,
    ReturnControlPayload, SessionState, StreamingConfigurations,
};
use serde_json::{Value, json};

use crate::{Found, say, text};

fn pay() -> Result<FunctionSchema, Box<dyn Error>> {
    let detail = |kind, about| {
        ParameterDetail::builder().r#type(kind).description(about).required(true).build()
    };
    let function = Function::builder()
        .name("pay")
        .description("Pays a refund")
        .parameters("amount", detail(Type::Number, "How much")?)
        .parameters("to", detail(Type::String, "To whom")?)
        .build()?;
    Ok(FunctionSchema::Functions(vec![function]))
}

/// Makes an agent whose payments are the program's own to make, as a set-up script does.
pub(crate) async fn set_up(settings: &SdkConfig, given: &Value) -> Found {
    let client = control::Client::new(settings);
    let made = client
        .create_agent()
        .agent_name(text(given, "name")?)
        .foundation_model(text(given, "model")?)
        .agent_resource_role_arn(text(given, "role")?)
        .instruction("You help the customers of a shop with their refunds, politely and briefly.")
        .send()
        .await?;
    let agent = made.agent().ok_or("no agent")?.agent_id();
    let group = client.create_agent_action_group().agent_id(agent).agent_version("DRAFT");
    let executor = ActionGroupExecutor::CustomControl(CustomControlMethod::ReturnControl);
    let group = group.action_group_name("desk").action_group_executor(executor);
    group.function_schema(pay()?).send().await?;
    client.prepare_agent().agent_id(agent).send().await?;
    let alias = client.create_agent_alias().agent_id(agent).agent_alias_name("live");
    let alias = alias.send().await?;
    let alias = alias.agent_alias().ok_or("no alias")?.agent_alias_id();
    while !prepared(&client, agent, alias).await? {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(json!({ "agentId": agent, "agentAliasId": alias }))
}

async fn prepared(
    client: &control::Client,
    agent: &str,
    alias: &str,
) -> Result<bool, Box<dyn Error>> {
    let shown = client.get_agent_alias().agent_id(agent).agent_alias_id(alias).send().await?;
    let shown = shown.agent_alias().ok_or("no alias")?;
    Ok(*shown.agent_alias_status() == AgentAliasStatus::Prepared)
}

/// Lists with the SDK's paginator, one per page.
pub(crate) async fn listed(settings: &SdkConfig) -> Found {
    let client = control::Client::new(settings);
    let mut pages = client.list_agents().into_paginator().page_size(1).send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.extend(page?.agent_summaries().iter().map(|agent| agent.agent_name().to_owned()));
    }
    Ok(json!(names))
}

pub(crate) async fn not_found(settings: &SdkConfig) -> Found {
    let answer = control::Client::new(settings).get_agent().agent_id("AAAAAAAAAA").send().await;
    let failure = answer.err().ok_or("nothing failed")?.into_service_error();
    Ok(json!(matches!(failure, GetAgentError::ResourceNotFoundException(_))))
}

fn invoke(settings: &SdkConfig, given: &Value) -> Result<InvokeAgentFluentBuilder, Box<dyn Error>> {
    let agent = &given["agent"];
    let request = runtime::Client::new(settings).invoke_agent().enable_trace(true);
    let request = request.agent_id(text(agent, "agentId")?);
    Ok(request.agent_alias_id(text(agent, "agentAliasId")?).session_id(text(given, "session")?))
}

#[derive(Default)]
struct Turn {
    text: String,
    traces: usize,
    control: Option<ReturnControlPayload>,
}

async fn hear(
    mut answer: InvokeAgentOutput,
    mut heard: impl FnMut(&str),
) -> Result<Turn, Box<dyn Error>> {
    let mut turn = Turn::default();
    while let Some(event) = answer.completion.recv().await? {
        match event {
            ResponseStream::Chunk(chunk) => {
                let bytes = chunk.bytes().ok_or("a chunk without bytes")?;
                let text = std::str::from_utf8(bytes.as_ref())?;
                heard(text);
                turn.text.push_str(text);
            }
            ResponseStream::Trace(part) if part.trace().is_some() => turn.traces += 1,
            ResponseStream::ReturnControl(control) => turn.control = Some(control),
            _ => {}
        }
    }
    Ok(turn)
}

/// Answers every call that comes back with `paid`, until the turn ends.
pub(crate) async fn return_of_control(settings: &SdkConfig, given: &Value) -> Found {
    let mut request = invoke(settings, given)?.input_text("Pay Ada 5, please");
    let (mut calls, mut traces) = (Vec::new(), Vec::new());
    loop {
        let turn = hear(request.send().await?, |_| {}).await?;
        traces.push(turn.traces);
        let Some(control) = turn.control else {
            return Ok(json!({ "calls": calls, "traces": traces, "text": turn.text }));
        };
        let mut state = SessionState::builder().set_invocation_id(control.invocation_id.clone());
        for input in control.invocation_inputs() {
            let InvocationInputMember::FunctionInvocationInput(call) = input else {
                return Err("a call of another kind".into());
            };
            let given = call.parameters().iter().map(|p| json!([p.name(), p.r#type(), p.value()]));
            calls.push(json!([call.action_group(), call.function(), given.collect::<Vec<_>>()]));
            let result = FunctionResult::builder()
                .action_group(call.action_group())
                .set_function(call.function.clone())
                .response_body("TEXT", ContentBody::builder().body("paid").build())
                .build()?;
            let result = InvocationResultMember::FunctionResult(result);
            state = state.return_control_invocation_results(result);
        }
        request = invoke(settings, given)?.session_state(state.build());
    }
}

/// Says each piece of the answer as it comes.
pub(crate) async fn streamed(settings: &SdkConfig, given: &Value) -> Found {
    let streaming = StreamingConfigurations::builder().stream_final_response(true).build();
    let request = invoke(settings, given)?.streaming_configurations(streaming);
    let answer = request.input_text("Where is it?").send().await?;
    let turn = hear(answer, |text| say(&json!(text))).await?;
    Ok(json!({ "text": turn.text, "traces": turn.traces }))
}

pub(crate) async fn refused(settings: &SdkConfig, given: &Value) -> Found {
    let mut answer = invoke(settings, given)?.input_text("Hello").send().await?;
    loop {
        match answer.completion.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => return Err("nothing failed".into()),
            Err(failure) => {
                let failure = failure.into_service_error();
                let typed = matches!(failure, ResponseStreamError::DependencyFailedException(_));
                return Ok(json!({ "typed": typed, "message": failure.message() }));
            }
        }
    }
}
