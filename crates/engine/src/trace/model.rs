//! What a model was asked and what it said, each in the trace of its stage.

use craton_core::agent::config::{Stage, StageConfig};
use craton_core::agent::event::{Ask, ModelOverflowed, ModelSaid, Purpose};
use craton_core::agent::state::text_of;
use craton_core::agent::{call, prompt};
use serde_json::json;
use wire::bedrock_agent_runtime::types::{
    CreationMode, InferenceConfiguration, Metadata, ModelInvocationInput,
    OrchestrationModelInvocationOutput, OrchestrationTrace, PostProcessingTrace,
    PreProcessingTrace, PromptType, Rationale, RawResponse, ReasoningContentBlock,
    ReasoningTextBlock, Trace, Usage,
};
use wire::converse::Block;

use super::team::{routing_input, routing_output};
use super::{View, orchestration};

impl View<'_> {
    /// `None` for the summary of a session, for which the wire has no place.
    pub(super) fn model_input(&self, ask: &Ask) -> Option<Trace> {
        let input = |kind| self.invocation_input(ask, kind);
        Some(match ask.purpose {
            Purpose::PreProcess => Trace::PreProcessingTrace(
                PreProcessingTrace::ModelInvocationInput(input(PromptType::PreProcessing)),
            ),
            Purpose::PostProcess => Trace::PostProcessingTrace(
                PostProcessingTrace::ModelInvocationInput(input(PromptType::PostProcessing)),
            ),
            Purpose::Route => routing_input(input(PromptType::RoutingClassifier)),
            Purpose::Plan => orchestration(OrchestrationTrace::ModelInvocationInput(input(
                PromptType::Orchestration,
            ))),
            Purpose::Summarize => return None,
        })
    }

    /// What came back instead of a reply. The turn goes on, so it is no failure; the next input shows what
    /// was left out.
    pub(super) fn model_overflow(&self, overflowed: &ModelOverflowed) -> Trace {
        let raw = json!({"provider": overflowed.provider, "refused": overflowed.message});
        orchestration(OrchestrationTrace::ModelInvocationOutput(
            OrchestrationModelInvocationOutput {
                raw_response: Some(RawResponse { content: Some(raw.to_string()) }),
                trace_id: self.trace_id(overflowed.step),
                ..OrchestrationModelInvocationOutput::default()
            },
        ))
    }

    fn invocation_input(&self, ask: &Ask, kind: PromptType) -> ModelInvocationInput {
        let Ask { purpose, step, route, reserved } = ask;
        let (purpose, step) = (*purpose, *step);
        let mut call = call::model_call(self.turn, self.agent, purpose);
        if let Some(reserved) = reserved {
            call::within(&mut call, reserved);
        }
        let mut text = json!({"system": call.system, "messages": call.messages});
        if let Some(route) = route {
            call.model.clone_from(&route.model);
            text["route"] = json!(route);
        }
        let stage = purpose.stage();
        let parser = self.agent.parser(stage).map(str::to_owned);
        let settings = self.agent.stage(stage);
        ModelInvocationInput {
            foundation_model: Some(self.model_name(call.model)),
            inference_configuration: settings.and_then(inference),
            prompt_creation_mode: Some(mode(self.agent.template(stage).is_some())),
            parser_mode: Some(mode(parser.is_some())),
            override_lambda: parser,
            text: Some(text.to_string()),
            trace_id: self.trace_id(step),
            r#type: Some(kind),
        }
    }

    fn model_name(&self, asked: String) -> String {
        let accepted = self.turn.accepted.as_ref().filter(|_| asked == self.agent.config.model);
        let embedded = accepted.map(|accepted| &accepted.provider).filter(|p| llm::is_embedded(p));
        embedded.map_or(asked, |provider| format!("craton.{provider}"))
    }

    /// What a model said. The replies of pre- and post-processing are told of together with what
    /// they turned out to mean.
    pub(super) fn model_output(&self, said: &ModelSaid) -> Vec<Trace> {
        match self.turn.asking.unwrap_or(Purpose::Plan) {
            Purpose::Plan => self.orchestration_output(said),
            Purpose::Route => {
                let (used, id) = (Some(self.used(said)), self.trace_id(said.step));
                vec![routing_output(used, Some(raw(said)), id)]
            }
            Purpose::PreProcess | Purpose::PostProcess | Purpose::Summarize => Vec::new(),
        }
    }

    fn orchestration_output(&self, said: &ModelSaid) -> Vec<Trace> {
        let output = OrchestrationModelInvocationOutput {
            metadata: Some(self.used(said)),
            raw_response: Some(raw(said)),
            reasoning_content: reasoning(said),
            trace_id: self.trace_id(said.step),
        };
        let mut traces = vec![orchestration(OrchestrationTrace::ModelInvocationOutput(output))];
        let parsed = self.agent.parser(Stage::Orchestration).is_some();
        if said.reply.asks_for_tools()
            && !parsed
            && let Some(text) = prompt::rationale(&text_of(&said.reply.content))
        {
            traces.push(self.rationale(text, said.step));
        }
        traces
    }

    pub(super) fn rationale(&self, text: String, step: u32) -> Trace {
        let rationale = Rationale { text: Some(text), trace_id: self.trace_id(step) };
        orchestration(OrchestrationTrace::Rationale(rationale))
    }

    pub(super) fn used(&self, said: &ModelSaid) -> Metadata {
        let usage = Usage {
            input_tokens: i64::try_from(said.reply.usage.input_tokens).ok(),
            output_tokens: i64::try_from(said.reply.usage.output_tokens).ok(),
        };
        Metadata { usage: Some(usage), ..self.took(said.millis) }
    }
}

fn mode(own: bool) -> CreationMode {
    if own { CreationMode::Overridden } else { CreationMode::Default }
}

/// What the agent sets, in AWS's words; `None` where it leaves all to the model.
fn inference(settings: &StageConfig) -> Option<InferenceConfiguration> {
    let inference = settings.inference.as_ref()?;
    Some(InferenceConfiguration {
        maximum_length: inference.max_tokens.map(i64::from),
        stop_sequences: Some(inference.stop_sequences.clone()).filter(|all| !all.is_empty()),
        temperature: inference.temperature,
        top_k: settings.additional["top_k"].as_i64(),
        top_p: inference.top_p,
    })
}

pub(super) fn raw(said: &ModelSaid) -> RawResponse {
    let mut raw = json!({
        "provider": said.provider,
        "model": said.model,
        "content": said.reply.content,
        "stopReason": said.reply.stop_reason,
    });
    if said.conduct.is_worth_telling() {
        raw["conduct"] = json!(said.conduct);
    }
    RawResponse { content: Some(raw.to_string()) }
}

/// The first of the model's thoughts; the raw response has all of them.
pub(super) fn reasoning(said: &ModelSaid) -> Option<ReasoningContentBlock> {
    said.reply.content.iter().find_map(|block| match block {
        Block::ReasoningContent(thought) => {
            let thought = &thought["reasoningText"];
            let signature = thought["signature"].as_str().map(str::to_owned);
            let text = thought["text"].as_str()?.to_owned();
            Some(ReasoningContentBlock::ReasoningText(ReasoningTextBlock { signature, text }))
        }
        _ => None,
    })
}
