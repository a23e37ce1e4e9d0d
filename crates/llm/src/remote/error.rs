//! Failures in words an operator can act on: provider, address, status, what to check.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use net::Secret;
use serde_json::Value as Json;

use super::secrets::Secrets;
use crate::limits::ERROR_TEXT;
use crate::provider::{ModelError, ModelErrorKind};

/// Why an answer that began well is none.
#[derive(Debug)]
pub(crate) enum Fault {
    Malformed(String),
    /// The provider's own error inside an answer with status 200.
    Provider(Json),
}

/// Who failed.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) provider: String,
    pub(crate) base_url: String,
    pub(crate) key: Option<Key>,
}

/// Where the key comes from.
#[derive(Debug)]
pub(crate) enum Key {
    /// `api_key_env`
    Variable(String),
    /// `api_key`
    Secret(Secret),
}

impl Origin {
    /// `state` is what is wrong with the key.
    pub(crate) fn no_key(&self, state: &str) -> ModelError {
        let place = match &self.key {
            Some(Key::Variable(name)) => {
                format!("the environment variable {name}, named by its api_key_env, ")
            }
            // A secret that cannot be read says so itself, by its place.
            Some(Key::Secret(_)) => "its api_key ".to_owned(),
            None => String::new(),
        };
        ModelError::refused(format!("{self}: {place}{state}; nothing was sent"))
    }

    pub(crate) fn cannot_carry(&self, what: &str) -> ModelError {
        ModelError::new(ModelErrorKind::Unsupported, format!("{self} cannot be asked: {what}"))
    }

    pub(crate) fn net(&self, error: net::Error) -> ModelError {
        let kind = match &error {
            net::Error::TimedOut { .. } | net::Error::Silent { .. } => ModelErrorKind::TimedOut,
            net::Error::TooLarge { .. } => ModelErrorKind::Malformed,
            net::Error::NotSent(_) | net::Error::Denied(_) | net::Error::Lost(_) => {
                ModelErrorKind::Unavailable
            }
        };
        let failed = ModelError::new(kind, format!("{self}: {error}"));
        // A kind says what may help, and not whether the request had left.
        ModelError { may_be_billed: error.sent(), ..failed }.because(error)
    }

    /// How long the provider asks to be left alone, in words for whoever reads the error.
    pub(crate) fn later(mut error: ModelError, wait: Option<Duration>) -> ModelError {
        if let Some(wait) = wait {
            error.message.push_str(&format!("; it asks to wait {} s", wait.as_secs()));
        }
        error.retry_after = wait;
        error
    }

    /// A failure inside an answer that began well.
    pub(crate) fn fault(&self, fault: Fault, secrets: &Secrets) -> ModelError {
        match fault {
            Fault::Malformed(why) => {
                ModelError::malformed(format!("{self}: {}", secrets.hidden(&why)))
            }
            Fault::Provider(error) => {
                let status = status_in(&error).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let text = bounded(&message_in(&error), secrets);
                ModelError::new(kind(status, &error), format!("{self} broke off: {text}"))
            }
        }
    }

    /// An answer whose status is not 200.
    pub(crate) fn refusal(
        &self,
        status: StatusCode,
        body: &Bytes,
        model: &str,
        secrets: &Secrets,
    ) -> ModelError {
        let json = serde_json::from_slice(body)
            .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(body).into_owned()));
        let text = bounded(&message_in(&json), secrets);
        let advice = self.advice(status, model);
        let message = format!("{self}: HTTP {status}: {text}{advice}");
        let error = ModelError::new(kind(status, &json), message);
        ModelError { status: Some(status.as_u16()), ..error }
    }

    fn advice(&self, status: StatusCode, model: &str) -> String {
        let provider = &self.provider;
        let key = match &self.key {
            Some(Key::Variable(name)) => format!("its key is the environment variable {name}"),
            Some(Key::Secret(secret)) => format!("its key is {secret}"),
            None => format!("no key was sent: [providers.{provider}] has no api_key"),
        };
        match status.as_u16() {
            401 | 403 => format!("; check the key: {key}"),
            404 => format!("; check base_url and the model name {model:?} ({key})"),
            300..=399 => "; check base_url: redirects are not followed".to_owned(),
            400..=499 => format!(" ({key})"),
            _ => String::new(),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "model provider {:?} ({})", self.provider, self.base_url)
    }
}

fn kind(status: StatusCode, body: &Json) -> ModelErrorKind {
    match status.as_u16() {
        // An exhausted account comes as 429 too, but waiting does not help it.
        429 if error_of(body)["code"] == "insufficient_quota" => ModelErrorKind::Refused,
        // AWS: a model that is not ready is a 429 too (InvokeModel's API model).
        429 if error_of(body)["__type"] == "ModelNotReadyException" => ModelErrorKind::Unavailable,
        429 => ModelErrorKind::Throttled,
        // llama.cpp and servers before it call an input that is too long a defect of theirs.
        500 if is_too_long(body) => ModelErrorKind::TooLong,
        // Groq: no room in the tier `flex` (GroqCloud documentation, "API Error Codes and Responses").
        498 => ModelErrorKind::Throttled,
        // Groq: the model wrote a call or an answer that is not of its schema (GroqCloud
        // documentation, "Local Tool Calling" and "Structured Outputs").
        400 if SPOILED.iter().any(|code| error_of(body)["code"] == *code) => {
            ModelErrorKind::Malformed
        }
        408 | 504 => ModelErrorKind::TimedOut,
        500.. => ModelErrorKind::Unavailable,
        201..300 => ModelErrorKind::Malformed,
        413 => ModelErrorKind::TooLong,
        // AWS: the model itself failed (`ModelErrorException`, `ModelStreamErrorException`).
        424 => ModelErrorKind::Malformed,
        400..=499 if is_too_long(body) => ModelErrorKind::TooLong,
        _ => ModelErrorKind::Refused,
    }
}

const SPOILED: [&str; 2] = ["tool_use_failed", "json_validate_failed"];

/// OpenAI has a code for it and llama.cpp a type; of the others the words tell. Each was seen in the
/// answers of its server (public issues of vLLM, llama.cpp and their users; Claude API documentation).
fn is_too_long(body: &Json) -> bool {
    let error = error_of(body);
    let names = [&error["code"], &error["type"]].map(|name| name.as_str().unwrap_or_default());
    if names.iter().any(|name| TOO_LONG_NAMES.contains(name)) {
        return true;
    }
    let words = message_in(body).to_ascii_lowercase();
    TOO_LONG_WORDS.iter().any(|part| words.contains(part))
}

const TOO_LONG_NAMES: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];

const TOO_LONG_WORDS: [&str; 10] = [
    "prompt is too long",                   // Anthropic
    "exceed context limit",                 // Anthropic, with max_tokens
    "input is too long",                    // Bedrock
    "too many input tokens",                // Bedrock
    "maximum context length",               // OpenAI, older vLLM, Mistral
    "context length is only",               // vLLM
    "exceeds the available context size",   // llama.cpp
    "exceeds the context window",           // OpenAI
    "context window exceeded",              // proxies
    "exceeds the maximum number of tokens", // Gemini
];

/// AWS: the exception's name stands in a header, behind which an address may follow a colon
/// (restJson1 protocol, "Operation error serialization").
pub(super) fn with_type(headers: &HeaderMap, body: Bytes) -> Bytes {
    let named = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
    let (Some(named), Ok(Json::Object(mut members))) = (named, serde_json::from_slice(&body))
    else {
        return body;
    };
    let name = named.split(':').next().unwrap_or(named);
    members.insert("__type".to_owned(), Json::String(name.to_owned()));
    Json::Object(members).to_string().into()
}

/// The error object, wherever the server put it; Gemini sends a list of one where it would stream.
fn error_of(body: &Json) -> &Json {
    let body = body.get(0).unwrap_or(body);
    match body.get("error") {
        Some(error) => error,
        None => body,
    }
}

/// OpenAI: `{"error": {"message"}}`; Ollama: `{"error": "…"}`; vLLM: `{"message"}`; FastAPI: `{"detail"}`.
fn message_in(body: &Json) -> String {
    let error = error_of(body);
    let text = ["message", "Message", "detail"]
        .iter()
        .find_map(|member| error.get(member))
        .unwrap_or(error);
    match text {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

/// The status that an error event stands for: vLLM and Gemini send a number, Anthropic and AWS a type.
fn status_in(error: &Json) -> Option<StatusCode> {
    let error = error_of(error);
    let number = |code: &Json| code.as_u64().or_else(|| code.as_str()?.parse().ok());
    let kind = || error["type"].as_str().or_else(|| error["__type"].as_str());
    let code = error.get("originalStatusCode").or_else(|| error.get("code")).and_then(number);
    let code = code.or_else(|| status_of(kind()?)).or_else(|| status_of(error["code"].as_str()?));
    StatusCode::from_u16(u16::try_from(code?).ok()?).ok()
}

/// Anthropic: each type of error and its status (Claude API documentation, "Errors").
fn status_of(kind: &str) -> Option<u64> {
    Some(match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "api_error" => 500,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        // OpenAI: codes of a response that failed (API reference, `ResponseErrorCode`).
        "rate_limit_exceeded" => 429,
        "invalid_prompt" => 400,
        "server_error" => 500,
        _ => return exception_status(kind),
    })
}

/// AWS: each exception of Bedrock's runtime and its status (its API model). In a stream its name
/// begins with a small letter.
fn exception_status(name: &str) -> Option<u64> {
    Some(match name.to_ascii_lowercase().as_str() {
        "validationexception" | "servicequotaexceededexception" => 400,
        "accessdeniedexception" => 403,
        "resourcenotfoundexception" => 404,
        "modeltimeoutexception" => 408,
        "modelerrorexception" | "modelstreamerrorexception" => 424,
        "throttlingexception" | "modelnotreadyexception" => 429,
        "internalserverexception" => 500,
        "serviceunavailableexception" => 503,
        _ => return None,
    })
}

/// The provider's words: one line, of bounded length, without secrets.
fn bounded(text: &str, secrets: &Secrets) -> String {
    let line = secrets.hidden(text);
    match line.char_indices().nth(ERROR_TEXT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "(no message)".to_owned(),
        None => line,
    }
}
