//! Which native body a model takes, by the model's id.

use wire::fault::Fault;

use super::body::Body;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Text(Text),
    Embedding(Embedding),
}

/// Models that answer with words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Anthropic,
    Nova,
    Titan,
    Llama,
    /// A prompt or a chat.
    Mistral,
    /// A prompt or a chat.
    DeepSeek,
    /// A prompt.
    Command,
    CommandR,
    /// Chat completions.
    Chat,
}

/// Models that answer with vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedding {
    TitanV1,
    TitanV2,
    TitanMultimodal,
    CohereV3,
    CohereV4,
    Nova,
}

/// By what an id begins with; the first that fits.
const FAMILIES: [(&str, Family); 29] = [
    ("anthropic.", Family::Text(Text::Anthropic)),
    ("amazon.nova-micro", Family::Text(Text::Nova)),
    ("amazon.nova-lite", Family::Text(Text::Nova)),
    ("amazon.nova-pro", Family::Text(Text::Nova)),
    ("amazon.nova-premier", Family::Text(Text::Nova)),
    ("amazon.nova-2-lite", Family::Text(Text::Nova)),
    ("amazon.nova-2-pro", Family::Text(Text::Nova)),
    ("amazon.nova-2-multimodal-embeddings", Family::Embedding(Embedding::Nova)),
    ("amazon.nova-multimodal-embeddings", Family::Embedding(Embedding::Nova)),
    ("amazon.titan-text-", Family::Text(Text::Titan)),
    ("amazon.titan-tg1-", Family::Text(Text::Titan)),
    ("amazon.titan-embed-text-v2", Family::Embedding(Embedding::TitanV2)),
    ("amazon.titan-embed-image-", Family::Embedding(Embedding::TitanMultimodal)),
    ("amazon.titan-embed-", Family::Embedding(Embedding::TitanV1)),
    ("meta.llama", Family::Text(Text::Llama)),
    ("mistral.", Family::Text(Text::Mistral)),
    ("deepseek.", Family::Text(Text::DeepSeek)),
    ("cohere.command-r", Family::Text(Text::CommandR)),
    ("cohere.command-text", Family::Text(Text::Command)),
    ("cohere.command-light", Family::Text(Text::Command)),
    ("cohere.embed-v4", Family::Embedding(Embedding::CohereV4)),
    ("cohere.embed-", Family::Embedding(Embedding::CohereV3)),
    ("openai.", Family::Text(Text::Chat)),
    ("qwen.", Family::Text(Text::Chat)),
    ("ai21.jamba", Family::Text(Text::Chat)),
    ("moonshot", Family::Text(Text::Chat)),
    ("minimax.", Family::Text(Text::Chat)),
    ("google.gemma", Family::Text(Text::Chat)),
    ("nvidia.", Family::Text(Text::Chat)),
];

const TAKEN: &str = "anthropic.*, amazon.nova-*, amazon.titan-text-*, amazon.titan-embed-*, meta.llama*, \
                     mistral.*, deepseek.*, cohere.command*, cohere.embed-*, openai.*, qwen.*, \
                     ai21.jamba*, moonshot*, minimax.*, google.gemma*, nvidia.*";

impl Family {
    /// `model` is an id without ARN and geography. A body that says itself what it is decides for
    /// an id of nobody's.
    pub(super) fn of(model: &str, body: &Body) -> Result<Family, Fault> {
        if let Some((_, family)) = FAMILIES.iter().find(|(name, _)| model.starts_with(name)) {
            return Ok(*family);
        }
        if body.has("anthropic_version") {
            return Ok(Family::Text(Text::Anthropic));
        }
        if body.has("schemaVersion") {
            return Ok(Family::Text(Text::Nova));
        }
        // AWS: what has come to Bedrock of late (GLM, Grok, Palmyra, …) takes chat completions
        // (Bedrock user guide, "Inference request parameters and response fields")
        if body.has("messages") {
            return Ok(Family::Text(Text::Chat));
        }
        Err(Fault::validation(format!(
            "craton knows no native body of model '{model}', only those of {TAKEN}, and bodies with \
             anthropic_version, schemaVersion or messages; ask by Converse"
        )))
    }
}
