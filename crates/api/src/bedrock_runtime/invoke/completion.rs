//! Prompts that are completed: Llama, Mistral's and DeepSeek's text forms.
//!
//! The three differ in the names of their members; what they ask and answer is the same.

use serde_json::{Value as Json, json};
use wire::converse::{Block, Delta, Inference, Reply, StopReason, Usage};
use wire::fault::Fault;

use super::body::{Body, malformed};
use super::template::talk;
use super::{About, Native, Understood, call, words};

// AWS: `max_gen_len` and `max_tokens` are 512 unless said otherwise (Bedrock user guide, "Meta Llama
// models", "Mistral AI text completion")
const OUTPUT_TOKENS: u32 = 512;

pub(super) fn llama(mut body: Body) -> Result<Understood, Fault> {
    if !body.list("images")?.is_empty() {
        let feature = "pictures in prompts of Llama; ask by Converse";
        return Err(crate::bedrock_agent::feature::refused("images", "", feature));
    }
    let max_tokens = body.count("max_gen_len")?;
    read(body, max_tokens, Form::Llama { sent: 0 })
}

pub(super) fn mistral(mut body: Body) -> Result<Understood, Fault> {
    let max_tokens = body.count("max_tokens")?;
    read(body, max_tokens, Form::Mistral)
}

pub(super) fn deepseek(mut body: Body) -> Result<Understood, Fault> {
    let max_tokens = body.count("max_tokens")?;
    read(body, max_tokens, Form::DeepSeek)
}

fn read(mut body: Body, max_tokens: Option<u32>, form: Form) -> Result<Understood, Fault> {
    let prompt = body.required_text("prompt")?;
    if prompt.trim().is_empty() {
        return Err(malformed("#/prompt: expected minLength: 1, actual: 0"));
    }
    let inference = Inference {
        max_tokens: Some(max_tokens.unwrap_or(OUTPUT_TOKENS)),
        temperature: body.share("temperature", 1.0)?,
        top_p: body.share("top_p", 1.0)?,
        stop_sequences: match form {
            Form::Llama { .. } => Vec::new(),
            Form::Mistral | Form::DeepSeek => body.texts("stop")?,
        },
    };
    let additional = match form {
        Form::Mistral => body.pass(&["top_k"]),
        Form::Llama { .. } | Form::DeepSeek => Json::Null,
    };
    body.done()?;
    let talk = talk(prompt);
    let mut call = call(talk.system, talk.messages, inference);
    call.additional = additional;
    Ok(Understood { call, native: Box::new(form) })
}

enum Form {
    /// How many chunks are out.
    Llama {
        sent: u64,
    },
    Mistral,
    DeepSeek,
}

impl Form {
    fn told(&self, text: &str, reason: Option<StopReason>, usage: Option<Usage>) -> Json {
        let reason = reason.map(self::reason);
        match self {
            Form::Llama { sent } => json!({
                "generation": text,
                "prompt_token_count": usage.map(|usage| usage.input_tokens),
                "generation_token_count": usage.map_or(*sent, |usage| usage.output_tokens),
                "stop_reason": reason,
            }),
            Form::Mistral => json!({"outputs": [{"text": text, "stop_reason": reason}]}),
            Form::DeepSeek => json!({"choices": [{"text": text, "stop_reason": reason}]}),
        }
    }
}

impl Native for Form {
    fn whole(&self, reply: Reply, _: &About) -> Json {
        let text = match self {
            // AWS: the thoughts of R1 stand before its answer, up to their end mark
            // (Bedrock user guide, "DeepSeek models")
            Form::DeepSeek => thoughts(&reply.content) + &words(&reply.content),
            Form::Llama { .. } | Form::Mistral => words(&reply.content),
        };
        self.told(&text, Some(reply.stop_reason), Some(reply.usage))
    }

    fn piece(&mut self, delta: Delta, _: &About) -> Vec<Json> {
        let Delta::Text { text, .. } = delta else { return Vec::new() };
        if let Form::Llama { sent } = self {
            *sent += 1;
        }
        vec![self.told(&text, None, None)]
    }

    fn end(&mut self, reason: StopReason, usage: Usage, _: &About) -> Vec<Json> {
        vec![self.told("", Some(reason), Some(usage))]
    }
}

fn thoughts(content: &[Block]) -> String {
    let said = content.iter().filter_map(|block| match block {
        Block::ReasoningContent(thought) => thought["reasoningText"]["text"].as_str(),
        _ => None,
    });
    let said: String = said.collect();
    if said.is_empty() { said } else { format!("{said}\n</think>\n\n") }
}

fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => "length",
        StopReason::EndTurn
        | StopReason::ToolUse
        | StopReason::StopSequence
        | StopReason::ContentFiltered
        | StopReason::GuardrailIntervened => "stop",
    }
}
