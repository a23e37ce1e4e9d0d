//! `POST {base_url}/embeddings`: texts to vectors.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::dialect::Dialect;
use crate::embed::{EmbedCall, Embedded, unit};

pub(super) fn body(call: &EmbedCall, texts: &[String], dialect: &Dialect) -> Vec<u8> {
    let mut body = json!({ "model": call.model, "input": texts, "encoding_format": "float" });
    if let Some(dimensions) = call.dimensions {
        body[dialect.dimensions] = json!(dimensions);
    }
    body.to_string().into_bytes()
}

/// The vectors of `texts` texts, in their order, whatever the answer's.
pub(super) fn vectors(answer: Json, texts: usize, normalize: bool) -> Result<Embedded, String> {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Embedding>,
        #[serde(default)]
        usage: Json,
    }
    #[derive(Deserialize)]
    struct Embedding {
        index: Option<usize>,
        embedding: Vec<f32>,
    }
    let Answer { data, usage } = serde_json::from_value(answer)
        .map_err(|error| format!("the answer's embeddings cannot be read: {error}"))?;
    let given = data.len();
    let mut vectors = vec![Vec::new(); texts];
    for (at, Embedding { index, embedding }) in data.into_iter().enumerate() {
        let place = vectors.get_mut(index.unwrap_or(at));
        *place.ok_or_else(|| format!("{given} embeddings for {texts} texts"))? = embedding;
    }
    if vectors.iter().any(Vec::is_empty) {
        return Err(format!("{given} embeddings for {texts} texts, not one for each"));
    }
    if vectors.iter().any(|vector| vector.len() != vectors[0].len()) {
        return Err("embeddings of different lengths".to_owned());
    }
    if normalize {
        vectors = vectors.into_iter().map(unit).collect();
    }
    let tokens = usage["prompt_tokens"].as_u64().or_else(|| usage["total_tokens"].as_u64());
    Ok(Embedded { vectors, input_tokens: tokens.unwrap_or(0) })
}
