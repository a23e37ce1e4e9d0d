//! What a model was asked and what it said.

use craton_core::agent::call;
use craton_core::agent::event::{ModelOverflowed, ModelSaid, Purpose};
use craton_core::agent::prompt;
use craton_core::agent::state::text_of;
use serde_json::json;
use wire::bedrock_agent_runtime::types::{
    Metadata, ModelInvocationInput, OrchestrationModelInvocationOutput, OrchestrationTrace,
    PromptType, Rationale, RawResponse, Trace, Usage,
};

use super::team::{routing_input, routing_output};
use super::{View, orchestration};

impl View<'_> {
    pub(super) fn model_input(&self, purpose: Purpose, step: u32) -> Trace {
        let call = call::model_call(self.turn, self.agent, purpose);
        let text = json!({"system": call.system, "messages": call.messages});
        let accepted = self.turn.accepted.as_ref();
        let embedded = accepted.map(|accepted| &accepted.provider).filter(|p| llm::is_embedded(p));
        let model = match embedded {
            Some(provider) => format!("craton.{provider}"),
            None => call.model,
        };
        let input = ModelInvocationInput {
            foundation_model: Some(model),
            text: Some(text.to_string()),
            trace_id: self.trace_id(step),
            r#type: Some(PromptType::Orchestration),
            ..ModelInvocationInput::default()
        };
        if purpose == Purpose::Route {
            return routing_input(input);
        }
        orchestration(OrchestrationTrace::ModelInvocationInput(input))
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

    pub(super) fn model_output(&self, said: &ModelSaid) -> Vec<Trace> {
        let raw = json!({
            "provider": said.provider,
            "model": said.model,
            "content": said.reply.content,
            "stopReason": said.reply.stop_reason,
        });
        let usage = Usage {
            input_tokens: i64::try_from(said.reply.usage.input_tokens).ok(),
            output_tokens: i64::try_from(said.reply.usage.output_tokens).ok(),
        };
        let metadata = Some(Metadata { usage: Some(usage), ..self.took(said.millis) });
        let raw_response = Some(RawResponse { content: Some(raw.to_string()) });
        let trace_id = self.trace_id(said.step);
        if self.turn.asking == Some(Purpose::Route) {
            return vec![routing_output(metadata, raw_response, trace_id)];
        }
        let output = OrchestrationModelInvocationOutput {
            metadata,
            raw_response,
            trace_id,
            ..OrchestrationModelInvocationOutput::default()
        };
        let mut traces = vec![orchestration(OrchestrationTrace::ModelInvocationOutput(output))];
        if said.reply.asks_for_tools()
            && let Some(text) = prompt::rationale(&text_of(&said.reply.content))
        {
            let rationale = Rationale { text: Some(text), trace_id: self.trace_id(said.step) };
            traces.push(orchestration(OrchestrationTrace::Rationale(rationale)));
        }
        traces
    }
}
