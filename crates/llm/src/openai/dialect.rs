//! What servers of chat completions differ in, as a table.
//!
//! `openai` asks the row of its server and never the server's name: a new server is a new row. The
//! row is chosen by `dialect`, else by host, else it is `COMPATIBLE`, which sends what
//! OpenAI takes and leaves it to the server to refuse. `[providers.NAME.differs]` corrects a row.

use serde::Deserialize;

use crate::limits::OPENAI_STOPS;

/// One server's ways.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) max_tokens: MaxTokensField,
    /// The word for "some tool must be called".
    pub(super) any_tool: &'static str,
    /// Tools may be `strict`.
    pub(super) strict: bool,
    /// Must be asked for the usage of a stream; the others tell it unasked or refuse to be asked.
    pub(super) ask_usage: bool,
    /// `response_format` takes a schema.
    pub(super) schema: bool,
    /// `reasoning_effort` is known.
    pub(super) effort: bool,
    pub(super) stops: usize,
    pub(super) images: bool,
    pub(super) files: Files,
    /// Formats of recordings.
    pub(super) audio: &'static [&'static str],
    pub(super) video: bool,
    /// Ids of tool calls have exactly so many letters and digits.
    pub(super) id_length: Option<usize>,
    /// A user may speak right after a tool.
    pub(super) user_after_tool: bool,
    /// The member in which thoughts go back while a tool loop runs.
    pub(super) thoughts_back: Option<&'static str>,
    /// `prompt_cache_key` is known.
    pub(super) cache_key: bool,
    /// Converse's tiers and the server's words.
    pub(super) tiers: &'static [(&'static str, &'static str)],
    /// `top_k`, which every agent has that took AWS's settings over, is refused and so left out.
    pub(super) refuses_top_k: bool,
    /// The member of `/embeddings` that says how many numbers a vector has.
    pub(super) dimensions: &'static str,
}

/// How a PDF goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    No,
    /// `{"type": "file"}` with a data URL.
    File,
    /// `{"type": "document_url"}` with a data URL.
    DocumentUrl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    MaxTokens,
    MaxCompletionTokens,
}

/// `dialect` of `[providers.NAME]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    OpenAi,
    Azure,
    Vllm,
    Ollama,
    LlamaCpp,
    Mistral,
    Groq,
    DeepSeek,
    OpenRouter,
    Compatible,
}

const COMPATIBLE: Dialect = Dialect {
    max_tokens: MaxTokensField::MaxTokens,
    any_tool: "required",
    strict: true,
    ask_usage: true,
    schema: true,
    effort: true,
    stops: usize::MAX,
    images: true,
    files: Files::File,
    audio: &["wav", "mp3"],
    video: false,
    id_length: None,
    user_after_tool: true,
    thoughts_back: None,
    cache_key: false,
    tiers: &[],
    refuses_top_k: false,
    dimensions: "dimensions",
};

/// OpenAI API reference, "Create chat completion".
const OPENAI: Dialect = Dialect {
    max_tokens: MaxTokensField::MaxCompletionTokens,
    stops: OPENAI_STOPS,
    cache_key: true,
    tiers: &[("default", "default"), ("priority", "priority"), ("flex", "flex")],
    refuses_top_k: true,
    ..COMPATIBLE
};

/// Azure OpenAI in Foundry Models, REST reference: as OpenAI, without tiers but the default.
const AZURE: Dialect = Dialect { tiers: &[], ..OPENAI };

/// vLLM documentation, "OpenAI-Compatible Server" and "Multimodal Inputs".
const VLLM: Dialect = Dialect {
    strict: false,
    files: Files::No,
    audio: &["wav", "mp3", "flac", "ogg"],
    video: true,
    ..COMPATIBLE
};

/// Ollama documentation, "OpenAI compatibility".
const OLLAMA: Dialect = Dialect { strict: false, files: Files::No, audio: &[], ..COMPATIBLE };

/// llama.cpp, `tools/server/README.md`.
const LLAMA_CPP: Dialect = Dialect { strict: false, files: Files::No, effort: false, ..COMPATIBLE };

/// Mistral API reference, "Chat Completion" and "Embeddings", which refuses members that it does not know; ids:
/// langchain-ai/langchain pull request 24668.
const MISTRAL: Dialect = Dialect {
    any_tool: "any",
    ask_usage: false,
    effort: false,
    files: Files::DocumentUrl,
    audio: &["wav", "mp3"],
    id_length: Some(9),
    user_after_tool: false,
    refuses_top_k: true,
    dimensions: "output_dimension",
    ..COMPATIBLE
};

/// GroqCloud API reference, "Create chat completion".
const GROQ: Dialect = Dialect {
    max_tokens: MaxTokensField::MaxCompletionTokens,
    stops: OPENAI_STOPS,
    files: Files::No,
    audio: &[],
    tiers: &[("default", "on_demand"), ("priority", "performance"), ("flex", "flex")],
    refuses_top_k: true,
    ..COMPATIBLE
};

/// DeepSeek API documentation, "Create Chat Completion" and "Thinking Mode": thoughts of a tool loop
/// that are not given back are a 400.
const DEEPSEEK: Dialect = Dialect {
    strict: false,
    schema: false,
    effort: false,
    stops: 16,
    images: false,
    files: Files::No,
    audio: &[],
    thoughts_back: Some("reasoning_content"),
    ..COMPATIBLE
};

/// OpenRouter documentation, "API Reference" and "Multimodal".
const OPENROUTER: Dialect = Dialect { stops: OPENAI_STOPS, video: true, ..COMPATIBLE };

/// The hosts whose server is known by name alone; a leading dot stands for any host within.
const HOSTS: [(&str, Name); 8] = [
    ("api.openai.com", Name::OpenAi),
    (".openai.azure.com", Name::Azure),
    (".cognitiveservices.azure.com", Name::Azure),
    (".services.ai.azure.com", Name::Azure),
    ("api.mistral.ai", Name::Mistral),
    ("api.groq.com", Name::Groq),
    ("api.deepseek.com", Name::DeepSeek),
    ("openrouter.ai", Name::OpenRouter),
];

impl Name {
    pub(super) fn of_host(host: &str) -> Name {
        let fits = |known: &str| match known.starts_with('.') {
            true => host.ends_with(known),
            false => host == known,
        };
        let known = HOSTS.iter().find(|(known, _)| fits(known));
        known.map_or(Name::Compatible, |(_, name)| *name)
    }

    fn row(self) -> Dialect {
        match self {
            Name::OpenAi => OPENAI,
            Name::Azure => AZURE,
            Name::Vllm => VLLM,
            Name::Ollama => OLLAMA,
            Name::LlamaCpp => LLAMA_CPP,
            Name::Mistral => MISTRAL,
            Name::Groq => GROQ,
            Name::DeepSeek => DEEPSEEK,
            Name::OpenRouter => OPENROUTER,
            Name::Compatible => COMPATIBLE,
        }
    }
}

/// `[providers.NAME.differs]`: what this server does otherwise than its dialect says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differs {
    /// Whether it takes images.
    pub images: Option<bool>,
    /// Whether it takes PDFs as `file` parts.
    pub files: Option<bool>,
    /// Whether it takes recordings, WAV and MP3.
    pub audio: Option<bool>,
    /// Whether it takes videos as `video_url` parts.
    pub video: Option<bool>,
    /// Whether `response_format` takes a schema.
    pub json_schema: Option<bool>,
    /// Whether tools may be `strict`.
    pub strict_tools: Option<bool>,
    /// Whether a stream is asked for its usage with `stream_options`.
    pub stream_options: Option<bool>,
    /// Whether it takes `top_k`.
    pub top_k: Option<bool>,
    /// Whether it takes `prompt_cache_key`.
    pub prompt_cache_key: Option<bool>,
    /// How many stop sequences it takes.
    pub stop_sequences: Option<usize>,
}

impl Dialect {
    pub(super) fn new(name: Name, field: Option<MaxTokensField>, differs: &Differs) -> Dialect {
        let mut row = name.row();
        let set = |place: &mut bool, given: Option<bool>| *place = given.unwrap_or(*place);
        row.max_tokens = field.unwrap_or(row.max_tokens);
        set(&mut row.images, differs.images);
        set(&mut row.video, differs.video);
        set(&mut row.schema, differs.json_schema);
        set(&mut row.strict, differs.strict_tools);
        set(&mut row.ask_usage, differs.stream_options);
        set(&mut row.refuses_top_k, differs.top_k.map(|takes| !takes));
        set(&mut row.cache_key, differs.prompt_cache_key);
        row.stops = differs.stop_sequences.unwrap_or(row.stops);
        match differs.files {
            Some(false) => row.files = Files::No,
            Some(true) if row.files == Files::No => row.files = Files::File,
            _ => {}
        }
        match differs.audio {
            Some(false) => row.audio = &[],
            Some(true) if row.audio.is_empty() => row.audio = COMPATIBLE.audio,
            _ => {}
        }
        row
    }
}
