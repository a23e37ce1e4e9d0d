//! What replies turned out to mean: pre- and post-processing, and readings by a parser function.

use craton_core::agent::event::{ModelSaid, Parsed, Purpose, Verdict};
use wire::bedrock_agent_runtime::types::{
    PostProcessingModelInvocationOutput, PostProcessingParsedResponse, PostProcessingTrace,
    PreProcessingModelInvocationOutput, PreProcessingParsedResponse, PreProcessingTrace, Source,
    Trace,
};

use super::View;
use super::model::{raw, reasoning};

impl View<'_> {
    pub(super) fn parsed(&self, parsed: &Parsed) -> Vec<Trace> {
        let heard = self.turn.stages.heard.as_ref().map(|heard| &heard.said);
        let mut traces: Vec<Trace> = match (parsed.purpose, heard) {
            (Purpose::PreProcess, Some(said)) => vec![self.pre_processed(said, &parsed.verdict)],
            (Purpose::PostProcess, Some(said)) => vec![self.post_processed(said, &parsed.verdict)],
            (Purpose::Plan | Purpose::Route | Purpose::Summarize, _) | (_, None) => Vec::new(),
        };
        match &parsed.verdict {
            Verdict::Calls { rationale, .. } | Verdict::Said { rationale, .. } => {
                let told = rationale.clone().filter(|_| parsed.purpose == Purpose::Plan);
                traces.extend(told.map(|text| self.rationale(text, parsed.step)));
            }
            Verdict::Again { message, .. } => {
                traces.push(self.reprompt(message, Source::Parser, self.now_id()));
            }
            Verdict::Failed { message } => traces.push(self.failure(message)),
            Verdict::Judged { .. } => {}
        }
        traces
    }

    fn pre_processed(&self, said: &ModelSaid, verdict: &Verdict) -> Trace {
        let parsed_response = match verdict {
            Verdict::Judged { valid, rationale } => Some(PreProcessingParsedResponse {
                is_valid: Some(*valid),
                rationale: rationale.clone(),
            }),
            Verdict::Calls { .. }
            | Verdict::Said { .. }
            | Verdict::Again { .. }
            | Verdict::Failed { .. } => None,
        };
        let output = PreProcessingModelInvocationOutput {
            metadata: Some(self.used(said)),
            parsed_response,
            raw_response: Some(raw(said)),
            reasoning_content: reasoning(said),
            trace_id: self.trace_id(said.step),
        };
        Trace::PreProcessingTrace(PreProcessingTrace::ModelInvocationOutput(output))
    }

    fn post_processed(&self, said: &ModelSaid, verdict: &Verdict) -> Trace {
        let text = match verdict {
            Verdict::Said { text, .. } => Some(text.clone()),
            Verdict::Judged { .. }
            | Verdict::Calls { .. }
            | Verdict::Again { .. }
            | Verdict::Failed { .. } => None,
        };
        let output = PostProcessingModelInvocationOutput {
            metadata: Some(self.used(said)),
            parsed_response: text.map(|text| PostProcessingParsedResponse { text: Some(text) }),
            raw_response: Some(raw(said)),
            reasoning_content: reasoning(said),
            trace_id: self.trace_id(said.step),
        };
        Trace::PostProcessingTrace(PostProcessingTrace::ModelInvocationOutput(output))
    }
}
