//! Prompts that are completed: Llama, Mistral's and DeepSeek's text forms, the first Claudes, Command.
//!
//! They differ in the names of their members; what they ask and answer is the same.

use serde_json::{Value as Json, json};
use wire::converse::{Block, Delta, Inference, Reply, StopReason, Usage};
use wire::fault::Fault;

use super::body::{Body, malformed};
use super::template::{Template, talk};
use super::{About, Native, Understood, call, words};
use crate::bedrock_agent::feature::refused;

// AWS: `max_gen_len` and `max_tokens` are 512 unless said otherwise (Bedrock user guide, "Meta Llama
// models", "Mistral AI text completion")
const OUTPUT_TOKENS: u32 = 512;

pub(super) fn llama(mut body: Body) -> Result<Understood, Fault> {
    if !body.list("images")?.is_empty() {
        let feature = "pictures in prompts of Llama; ask by Converse";
        return Err(refused("images", "", feature));
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

// AWS: the first form of Claude's requests (Bedrock user guide, "Anthropic Claude Text Completions API")
pub(super) fn claude(mut body: Body) -> Result<Understood, Fault> {
    body.pass(&["anthropic_version"]);
    let max_tokens = body.count("max_tokens_to_sample")?;
    let max_tokens = max_tokens.ok_or_else(|| body.absent("max_tokens_to_sample"))?;
    read(body, Some(max_tokens), Form::Claude)
}

// AWS: Bedrock user guide, "Cohere Command models"
pub(super) fn command(mut body: Body) -> Result<Understood, Fault> {
    if body.count("num_generations")?.is_some_and(|n| n > 1) {
        return Err(refused("num_generations", "", "several answers to one prompt"));
    }
    if body.text("return_likelihoods")?.is_some_and(|asked| asked != "NONE") {
        return Err(refused("return_likelihoods", "", "how likely each token is"));
    }
    // Whether it streams, the request's path says.
    body.pass(&["stream", "truncate"]);
    let max_tokens = body.count("max_tokens")?;
    let prompt = body.peek("prompt");
    read(body, max_tokens, Form::Command { prompt })
}

fn read(mut body: Body, max_tokens: Option<u32>, form: Form) -> Result<Understood, Fault> {
    let prompt = body.required_text("prompt")?;
    if prompt.trim().is_empty() {
        return Err(malformed("#/prompt: expected minLength: 1, actual: 0"));
    }
    // Command's temperature goes to 5 (Bedrock user guide, "Cohere Command models").
    let (hottest, top_p) = match form {
        Form::Command { .. } => (5.0, "p"),
        Form::Claude | Form::Llama { .. } | Form::Mistral | Form::DeepSeek => (1.0, "top_p"),
    };
    let inference = Inference {
        max_tokens: Some(max_tokens.unwrap_or(OUTPUT_TOKENS)),
        temperature: body.share("temperature", hottest)?,
        top_p: body.share(top_p, 1.0)?,
        stop_sequences: match form {
            Form::Llama { .. } => Vec::new(),
            Form::Mistral | Form::DeepSeek => body.texts("stop")?,
            Form::Claude | Form::Command { .. } => body.texts("stop_sequences")?,
        },
    };
    let additional = match form {
        Form::Claude | Form::Mistral => body.pass(&["top_k"]),
        Form::Command { .. } => body.number("k")?.filter(|k| *k > 0.0).map_or(Json::Null, top_k),
        Form::Llama { .. } | Form::DeepSeek => Json::Null,
    };
    body.done()?;
    let talk = talk(prompt, form.template());
    let mut call = call(talk.system, talk.messages, inference);
    call.additional = additional;
    Ok(Understood { call, native: Box::new(form) })
}

fn top_k(k: f64) -> Json {
    json!({"top_k": k as u64})
}

enum Form {
    /// How many chunks are out.
    Llama {
        sent: u64,
    },
    Mistral,
    DeepSeek,
    Claude,
    /// What was asked, which the answer repeats.
    Command {
        prompt: Json,
    },
}

impl Form {
    fn template(&self) -> Template {
        match self {
            Form::Claude => Template::Claude,
            Form::Command { .. } => Template::Plain,
            Form::DeepSeek => Template::DeepSeek,
            Form::Llama { .. } => Template::Llama,
            Form::Mistral => Template::Mistral,
        }
    }

    fn told(&self, text: &str, reason: Option<StopReason>, usage: Option<Usage>) -> Json {
        let why = reason.map(self::reason);
        match self {
            Form::Llama { sent } => json!({
                "generation": text,
                "prompt_token_count": usage.map(|usage| usage.input_tokens),
                "generation_token_count": usage.map_or(*sent, |usage| usage.output_tokens),
                "stop_reason": why,
            }),
            Form::Mistral => json!({"outputs": [{"text": text, "stop_reason": why}]}),
            Form::DeepSeek => json!({"choices": [{"text": text, "stop_reason": why}]}),
            // AWS: an answer that came to its end met the next turn of the user (Bedrock user guide,
            // "Anthropic Claude Text Completions API")
            Form::Claude => {
                let why =
                    why.map(|why| if why == "length" { "max_tokens" } else { "stop_sequence" });
                let stop = (reason == Some(StopReason::EndTurn)).then_some("\n\nHuman:");
                json!({"type": "completion", "completion": text, "stop_reason": why, "stop": stop})
            }
            Form::Command { .. } => json!({"text": text, "finish_reason": why.map(command_reason)}),
        }
    }
}

impl Form {
    /// The same in a stream.
    fn chunk(&self, text: &str, reason: Option<StopReason>, usage: Option<Usage>) -> Json {
        let mut chunk = self.told(text, reason, usage);
        if let Form::Command { .. } = self {
            chunk["is_finished"] = json!(reason.is_some());
        }
        chunk
    }
}

fn command_reason(why: &str) -> &'static str {
    if why == "length" { "MAX_TOKENS" } else { "COMPLETE" }
}

impl Native for Form {
    fn whole(&self, reply: Reply, about: &About) -> Json {
        if let Form::Command { prompt } = self {
            let mut told = self.told(&words(&reply.content), Some(reply.stop_reason), None);
            told["id"] = json!(about.id);
            return json!({"id": about.id, "prompt": prompt, "generations": [told]});
        }
        let text = match self {
            // AWS: the thoughts of R1 stand before its answer, up to their end mark
            // (Bedrock user guide, "DeepSeek models")
            Form::DeepSeek => thoughts(&reply.content) + &words(&reply.content),
            Form::Claude | Form::Command { .. } | Form::Llama { .. } | Form::Mistral => {
                words(&reply.content)
            }
        };
        self.told(&text, Some(reply.stop_reason), Some(reply.usage))
    }

    fn piece(&mut self, delta: Delta, _: &About) -> Vec<Json> {
        let Delta::Text { text, .. } = delta else { return Vec::new() };
        if let Form::Llama { sent } = self {
            *sent += 1;
        }
        vec![self.chunk(&text, None, None)]
    }

    fn end(&mut self, reason: StopReason, usage: Usage, _: &About) -> Vec<Json> {
        vec![self.chunk("", Some(reason), Some(usage))]
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
        | StopReason::GuardrailIntervened
        | StopReason::MalformedModelOutput
        | StopReason::MalformedToolUse => "stop",
    }
}
