//! Amazon Titan's text models.

use serde_json::{Value as Json, json};
use wire::converse::{Block, Delta, Inference, Message, Reply, Role, StopReason, Usage};
use wire::fault::Fault;

use super::body::{Body, malformed};
use super::{About, Native, Understood, call, words};

// AWS: maxTokenCount is 512 unless said otherwise (Bedrock user guide, "Amazon Titan Text models")
const OUTPUT_TOKENS: u32 = 512;

pub(super) fn read(mut body: Body) -> Result<Understood, Fault> {
    let prompt = body.required_text("inputText")?;
    if prompt.trim().is_empty() {
        return Err(malformed("#/inputText: expected minLength: 1, actual: 0"));
    }
    let config = body.take("textGenerationConfig").unwrap_or_else(|| json!({}));
    body.done()?;
    let mut config = Body::at("#/textGenerationConfig", config)?;
    let inference = Inference {
        max_tokens: Some(config.count("maxTokenCount")?.unwrap_or(OUTPUT_TOKENS)),
        temperature: config.share("temperature", 1.0)?,
        top_p: config.share("topP", 1.0)?,
        stop_sequences: config.texts("stopSequences")?,
    };
    config.done()?;
    let messages = conversation(&prompt);
    Ok(Understood { call: call(Vec::new(), messages, inference), native: Box::new(Answer) })
}

// AWS: a conversation is written as `User: …\nBot:` (Bedrock user guide, "Amazon Titan Text models")
fn conversation(prompt: &str) -> Vec<Message> {
    let said = prompt.trim().strip_prefix("User:").and_then(|rest| rest.strip_suffix("Bot:"));
    let said = said.filter(|said| !said.contains("\nUser:") && !said.contains("\nBot:"));
    let text = said.map_or(prompt, str::trim).to_owned();
    vec![Message { role: Role::User, content: vec![Block::Text(text)] }]
}

struct Answer;

impl Native for Answer {
    fn whole(&self, reply: Reply, _: &About) -> Json {
        let result = json!({
            "tokenCount": reply.usage.output_tokens,
            "outputText": words(&reply.content),
            "completionReason": reason(reply.stop_reason),
        });
        json!({"inputTextTokenCount": reply.usage.input_tokens, "results": [result]})
    }

    fn piece(&mut self, delta: Delta, _: &About) -> Vec<Json> {
        let Delta::Text { text, .. } = delta else { return Vec::new() };
        vec![told(&text, None, None)]
    }

    fn end(&mut self, why: StopReason, usage: Usage, _: &About) -> Vec<Json> {
        vec![told("", Some(reason(why)), Some(usage))]
    }
}

fn told(text: &str, reason: Option<&str>, usage: Option<Usage>) -> Json {
    json!({
        "outputText": text,
        "index": 0,
        "totalOutputTextTokenCount": usage.map(|usage| usage.output_tokens),
        "completionReason": reason,
        "inputTextTokenCount": usage.map(|usage| usage.input_tokens),
    })
}

// AWS: an answer that came to its end is `FINISH` on the wire, whatever the guide calls it
// (recorded answers of getmoto, litellm and others)
fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => "LENGTH",
        StopReason::StopSequence => "STOP_CRITERIA_MET",
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => "CONTENT_FILTERED",
        StopReason::EndTurn
        | StopReason::ToolUse
        | StopReason::MalformedModelOutput
        | StopReason::MalformedToolUse => "FINISH",
    }
}
