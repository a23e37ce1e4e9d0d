//! The bodies by which InvokeModel makes embeddings: Titan's, one text each, and Cohere's, a batch.

use http::HeaderMap;
use serde::Deserialize as _;
use serde_json::{Value as Json, json};

use crate::embed::{EmbedCall, EmbedRole, Embedded, Truncate, unit};

/// AWS: texts of one request (Bedrock user guide, "Cohere Embed models").
const COHERE_TEXTS: usize = 96;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `amazon.titan-embed-text-v1`, which knows no members but the text.
    TitanFirst,
    Titan,
    Cohere,
}

impl Family {
    /// By a model id, an inference profile or an ARN.
    pub(super) fn of(model: &str) -> Option<Family> {
        match model {
            id if id.contains("amazon.titan-embed-text-v1")
                || id.contains("amazon.titan-embed-g1") =>
            {
                Some(Family::TitanFirst)
            }
            id if id.contains("amazon.titan-embed") => Some(Family::Titan),
            id if id.contains("cohere.embed") => Some(Family::Cohere),
            _ => None,
        }
    }

    pub(super) fn bodies(self, call: &EmbedCall) -> Vec<Json> {
        match self {
            Family::TitanFirst => {
                call.texts.iter().map(|text| json!({ "inputText": text })).collect()
            }
            Family::Titan => call.texts.iter().map(|text| titan(text, call)).collect(),
            Family::Cohere => call.texts.chunks(COHERE_TEXTS).map(|t| cohere(t, call)).collect(),
        }
    }

    pub(super) fn read(
        self,
        headers: &HeaderMap,
        answer: &Json,
        normalize: bool,
    ) -> Result<Embedded, String> {
        let embeddings = &answer["embeddings"];
        let given = match self {
            Family::TitanFirst | Family::Titan => json!([answer["embedding"]]),
            // By type where the types were asked for, as newer models always do.
            Family::Cohere => embeddings.get("float").unwrap_or(embeddings).clone(),
        };
        let vectors = Vec::<Vec<f32>>::deserialize(given)
            .map_err(|error| format!("the answer's embeddings cannot be read: {error}"))?;
        let vectors = vectors.into_iter().map(|v| if normalize { unit(v) } else { v }).collect();
        // AWS: what was counted stands in a header of every InvokeModel (API reference).
        let header = headers.get("x-amzn-bedrock-input-token-count");
        let header = || header?.to_str().ok()?.parse().ok();
        let tokens = answer["inputTextTokenCount"].as_u64().or_else(header);
        Ok(Embedded { vectors, input_tokens: tokens.unwrap_or(0) })
    }
}

fn titan(text: &str, call: &EmbedCall) -> Json {
    let mut body = json!({ "inputText": text, "normalize": call.normalize });
    if let Some(dimensions) = call.dimensions {
        body["dimensions"] = json!(dimensions);
    }
    body
}

fn cohere(texts: &[String], call: &EmbedCall) -> Json {
    let kind = match call.role {
        EmbedRole::Document => "search_document",
        EmbedRole::Query => "search_query",
    };
    let mut body = json!({ "texts": texts, "input_type": kind });
    if let Some(truncate) = call.truncate {
        // AWS: words of the third version, and of the fourth (Bedrock user guide, "Cohere Embed v4").
        let fourth = call.model.contains("cohere.embed-v4");
        body["truncate"] = json!(match truncate {
            Truncate::Start =>
                if fourth {
                    "LEFT"
                } else {
                    "START"
                },
            Truncate::End =>
                if fourth {
                    "RIGHT"
                } else {
                    "END"
                },
            Truncate::Never => "NONE",
        });
    }
    if let Some(dimensions) = call.dimensions {
        body["output_dimension"] = json!(dimensions);
        body["embedding_types"] = json!(["float"]);
    }
    body
}
