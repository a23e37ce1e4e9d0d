//! Cohere's Command R: one message, and what was said before it.

use serde_json::{Value as Json, json};
use wire::converse::{Block, Delta, Inference, Reply, Role, StopReason, Usage};
use wire::fault::Fault;

use super::body::{Body, malformed};
use super::{About, Native, Understood, call, push, words};
use crate::bedrock_agent::feature::refused;

/// What Converse has no word for.
const REFUSED: [&str; 6] =
    ["documents", "raw_prompting", "return_prompt", "search_queries_only", "tool_results", "tools"];

pub(super) fn read(mut body: Body) -> Result<Understood, Fault> {
    for member in REFUSED {
        match body.take(member) {
            None | Some(Json::Bool(false)) => {}
            Some(Json::Array(items)) if items.is_empty() => {}
            Some(_) => {
                let feature = "this of Command R's own body; ask by Converse";
                return Err(refused(member, "", feature));
            }
        }
    }
    let message = body.required_text("message")?;
    let history = body.list("chat_history")?;
    let mut messages = Vec::new();
    for (at, said) in history.iter().cloned().enumerate() {
        let (role, text) = exchanged(Body::at(format!("#/chat_history/{at}"), said)?)?;
        push(&mut messages, role, vec![Block::Text(text)]);
    }
    push(&mut messages, Role::User, vec![Block::Text(message.clone())]);
    let inference = Inference {
        max_tokens: body.count("max_tokens")?,
        temperature: body.share("temperature", 1.0)?,
        top_p: body.share("p", 1.0)?,
        stop_sequences: body.texts("stop_sequences")?,
    };
    let top_k = body.number("k")?;
    let mut additional = body.pass(&["frequency_penalty", "presence_penalty", "seed"]);
    if let Some(top_k) = top_k.filter(|top_k| *top_k > 0.0) {
        additional["top_k"] = json!(top_k as u64);
    }
    body.pass(&["prompt_truncation"]);
    let system = body.text("preamble")?;
    body.done()?;
    let native = Box::new(Answer { history, message, text: String::new() });
    let mut call = call(system.into_iter().collect(), messages, inference);
    call.additional = additional;
    Ok(Understood { call, native })
}

fn exchanged(mut said: Body) -> Result<(Role, String), Fault> {
    let role = match said.required_text("role")?.as_str() {
        "USER" => Role::User,
        "CHATBOT" => Role::Assistant,
        other => {
            let place = said.place("role");
            return Err(malformed(&format!("{place}: {other} is not a valid enum value")));
        }
    };
    let text = said.required_text("message")?;
    said.done()?;
    Ok((role, text))
}

struct Answer {
    history: Vec<Json>,
    message: String,
    /// What a stream has said.
    text: String,
}

impl Answer {
    fn told(&self, text: &str, reason: &str, about: &About) -> Json {
        let mut history = self.history.clone();
        history.push(json!({"role": "USER", "message": self.message}));
        history.push(json!({"role": "CHATBOT", "message": text}));
        json!({
            "response_id": about.id,
            "generation_id": about.id,
            "text": text,
            "chat_history": history,
            "finish_reason": reason,
        })
    }
}

impl Native for Answer {
    fn tells_spoiled(&self) -> bool {
        true
    }

    fn whole(&self, reply: Reply, about: &About) -> Json {
        self.told(&words(&reply.content), reason(reply.stop_reason), about)
    }

    fn piece(&mut self, delta: Delta, _: &About) -> Vec<Json> {
        let Delta::Text { text, .. } = delta else { return Vec::new() };
        self.text.push_str(&text);
        vec![json!({"is_finished": false, "event_type": "text-generation", "text": text})]
    }

    fn end(&mut self, why: StopReason, _: Usage, about: &About) -> Vec<Json> {
        let reason = reason(why);
        vec![json!({
            "is_finished": true,
            "event_type": "stream-end",
            "finish_reason": reason,
            "response": self.told(&self.text, reason, about),
        })]
    }
}

fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => "MAX_TOKENS",
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => "ERROR_TOXIC",
        StopReason::MalformedModelOutput | StopReason::MalformedToolUse => "ERROR",
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence => "COMPLETE",
    }
}
