//! Texts to vectors, all of a call in one request.

use serde_json::{Value as Json, json};

use super::place;
use crate::embed::{EmbedCall, EmbedRole, Embedded, unit};

pub(super) fn body(call: &EmbedCall) -> Vec<u8> {
    let kind = match call.role {
        EmbedRole::Document => "RETRIEVAL_DOCUMENT",
        EmbedRole::Query => "RETRIEVAL_QUERY",
    };
    let request = |text: &String| {
        let mut request = json!({
            "model": place(&call.model),
            "content": { "parts": [{ "text": text }] },
            "taskType": kind,
        });
        if let Some(dimensions) = call.dimensions {
            request["outputDimensionality"] = json!(dimensions);
        }
        request
    };
    let requests: Vec<Json> = call.texts.iter().map(request).collect();
    json!({ "requests": requests }).to_string().into_bytes()
}

/// The API counts no tokens of embeddings, and shortened vectors are not of length 1 (Gemini API,
/// "Embeddings").
pub(super) fn vectors(answer: &Json, call: &EmbedCall) -> Result<Embedded, String> {
    #[derive(serde::Deserialize)]
    struct Embedding {
        values: Vec<f32>,
    }
    let given: Vec<Embedding> = serde_json::from_value(answer["embeddings"].clone())
        .map_err(|error| format!("the answer's embeddings cannot be read: {error}"))?;
    if given.len() != call.texts.len() {
        return Err(format!("{} embeddings for {} texts", given.len(), call.texts.len()));
    }
    let vectors = given.into_iter().map(|embedding| embedding.values);
    let vectors = vectors.map(|vector| if call.normalize { unit(vector) } else { vector });
    let tokens = answer["usageMetadata"]["promptTokenCount"].as_u64();
    Ok(Embedded { vectors: vectors.collect(), input_tokens: tokens.unwrap_or(0) })
}
