//! Titan's, Cohere's and Nova's embeddings: texts in, vectors out, in the number formats that follow from
//! floats alone.

use std::collections::BTreeMap;

use engine::model::Embedding as Wanted;
use llm::{EmbedCall, EmbedRole, Embedded, Truncate};
use serde_json::{Map, Value as Json, json};
use wire::fault::Fault;

use super::About;
use super::body::{Body, malformed};
use super::family::Embedding;
use crate::bedrock_agent::document::tenant;
use crate::bedrock_agent::feature::refused;
use crate::bedrock_runtime::converse::payer;
use crate::cx::Cx;

// AWS: texts of one call, and characters of a text of the third version (Bedrock user guide,
// "Cohere Embed v3", "Cohere Embed v4")
const TEXTS: usize = 96;
const CHARACTERS: usize = 2048;
const COHERE_TYPES: [&str; 5] = ["float", "int8", "uint8", "binary", "ubinary"];

/// What a body asks for.
pub(super) struct Asked {
    call: EmbedCall,
    form: Form,
}

enum Form {
    /// `embeddingsByType` if it has types.
    Titan(Vec<String>),
    /// Plain floats without types.
    Cohere {
        types: Vec<String>,
        texts: Option<Vec<String>>,
    },
    Nova,
}

pub(super) fn read(family: Embedding, body: Body) -> Result<Asked, Fault> {
    match family {
        Embedding::TitanV1 | Embedding::TitanV2 => titan(family, body),
        Embedding::TitanMultimodal => multimodal(body),
        Embedding::CohereV3 | Embedding::CohereV4 => cohere(family, body),
        Embedding::Nova => nova(body),
    }
}

fn call(
    texts: Vec<String>,
    dimensions: Option<u32>,
    role: EmbedRole,
    normalize: bool,
) -> EmbedCall {
    EmbedCall { texts, dimensions, role, normalize, ..EmbedCall::default() }
}

fn titan(family: Embedding, mut body: Body) -> Result<Asked, Fault> {
    let text = words(&mut body, "inputText")?;
    let (mut dimensions, mut normalize, mut types) = (None, true, Vec::new());
    if family == Embedding::TitanV2 {
        dimensions = body.count("dimensions")?;
        // AWS: 1,024, 512 or 256 (Bedrock user guide, "Amazon Titan Embeddings Text")
        if let Some(other) = dimensions.filter(|n| ![256, 512, 1024].contains(n)) {
            let why = format!("#/dimensions: {other} is not a valid enum value");
            return Err(malformed(&why));
        }
        normalize = body.flag("normalize")?.unwrap_or(true);
        types = kinds(&mut body, "embeddingTypes", &["float", "binary"])?;
        if types.is_empty() {
            types.push("float".to_owned());
        }
    }
    body.done()?;
    let call = call(vec![text], dimensions, EmbedRole::Document, normalize);
    Ok(Asked { call, form: Form::Titan(types) })
}

fn multimodal(mut body: Body) -> Result<Asked, Fault> {
    if body.take("inputImage").is_some() {
        return Err(refused("inputImage", "", "embeddings of images"));
    }
    let text = words(&mut body, "inputText")?;
    let config = body.take("embeddingConfig").unwrap_or_else(|| json!({}));
    body.done()?;
    let mut config = Body::at("#/embeddingConfig", config)?;
    let dimensions = config.count("outputEmbeddingLength")?;
    config.done()?;
    let call = call(vec![text], dimensions, EmbedRole::Document, true);
    Ok(Asked { call, form: Form::Titan(Vec::new()) })
}

// AWS: one text at a time, with what it is for, out of these purposes (Nova user guide, "Complete
// embeddings request and response schema")
fn nova(mut body: Body) -> Result<Asked, Fault> {
    body.pass(&["schemaVersion"]);
    let task = body.required_text("taskType")?;
    if task != "SINGLE_EMBEDDING" {
        return Err(refused("taskType", &task, "embeddings of long texts in segments"));
    }
    let place = body.place("singleEmbeddingParams");
    let mut params = Body::at(place, body.required("singleEmbeddingParams")?)?;
    body.done()?;
    for medium in ["image", "video", "audio"] {
        if params.take(medium).is_some() {
            return Err(refused(medium, "", "embeddings of anything but text"));
        }
    }
    let role = match params.required_text("embeddingPurpose")?.as_str() {
        "GENERIC_INDEX" | "CLASSIFICATION" | "CLUSTERING" => EmbedRole::Document,
        "GENERIC_RETRIEVAL" | "TEXT_RETRIEVAL" | "IMAGE_RETRIEVAL" | "VIDEO_RETRIEVAL"
        | "DOCUMENT_RETRIEVAL" | "AUDIO_RETRIEVAL" => EmbedRole::Query,
        other => {
            let place = params.place("embeddingPurpose");
            return Err(malformed(&format!("{place}: {other} is not a valid enum value")));
        }
    };
    let dimensions = params.count("embeddingDimension")?;
    let mut text = Body::at(params.place("text"), params.required("text")?)?;
    params.done()?;
    let truncate = match text.text("truncationMode")?.as_deref() {
        Some("START") => Some(Truncate::Start),
        Some("END") => Some(Truncate::End),
        Some("NONE") => Some(Truncate::Never),
        None => None,
        Some(other) => {
            let place = text.place("truncationMode");
            return Err(malformed(&format!("{place}: {other} is not a valid enum value")));
        }
    };
    let said = words(&mut text, "value")?;
    text.done()?;
    let call = EmbedCall { truncate, ..call(vec![said], dimensions, role, true) };
    Ok(Asked { call, form: Form::Nova })
}

fn nova_answer(embedded: Embedded) -> Json {
    let vectors = embedded.vectors.into_iter();
    let told: Vec<Json> =
        vectors.map(|vector| json!({"embeddingType": "TEXT", "embedding": vector})).collect();
    json!({"embeddings": told})
}

fn words(body: &mut Body, member: &str) -> Result<String, Fault> {
    let text = body.required_text(member)?;
    match text.is_empty() {
        true => {
            let place = body.place(member);
            Err(malformed(&format!("{place}: expected minLength: 1, actual: 0")))
        }
        false => Ok(text),
    }
}

fn cohere(family: Embedding, mut body: Body) -> Result<Asked, Fault> {
    if !body.list("images")?.is_empty() {
        return Err(refused("images", "", "embeddings of images"));
    }
    let texts = texts(family, &mut body)?;
    let role = match body.required_text("input_type")?.as_str() {
        "search_query" => EmbedRole::Query,
        "search_document" | "classification" | "clustering" => EmbedRole::Document,
        "image" => return Err(refused("input_type", "image", "embeddings of images")),
        other => {
            return Err(malformed(&format!("#/input_type: {other} is not a valid enum value")));
        }
    };
    let types = kinds(&mut body, "embedding_types", &COHERE_TYPES)?;
    let truncate = truncate(family, &mut body)?;
    let mut dimensions = None;
    if family == Embedding::CohereV4 {
        dimensions = body.count("output_dimension")?;
        body.count("max_tokens")?;
    }
    body.done()?;
    let call = EmbedCall { truncate, ..call(texts.clone(), dimensions, role, false) };
    let texts = (family == Embedding::CohereV3).then_some(texts);
    Ok(Asked { call, form: Form::Cohere { types, texts } })
}

// AWS: `START` and `END`, of the fourth version `LEFT` and `RIGHT`, say which part is left out; with
// `NONE` a text that is too long is an error (Bedrock user guide, "Cohere Embed v3", "Cohere Embed v4")
fn truncate(family: Embedding, body: &mut Body) -> Result<Option<Truncate>, Fault> {
    let (start, end) = match family {
        Embedding::CohereV4 => ("LEFT", "RIGHT"),
        _ => ("START", "END"),
    };
    match body.text("truncate")?.as_deref() {
        Some(other) if other == start => Ok(Some(Truncate::Start)),
        Some(other) if other == end => Ok(Some(Truncate::End)),
        Some("NONE") => Ok(Some(Truncate::Never)),
        None => Ok(None),
        Some(other) => Err(malformed(&format!("#/truncate: {other} is not a valid enum value"))),
    }
}

fn texts(family: Embedding, body: &mut Body) -> Result<Vec<String>, Fault> {
    let mut texts = body.texts("texts")?;
    if family == Embedding::CohereV4 {
        for mut input in body.bodies("inputs")? {
            texts.push(input_text(&mut input)?);
        }
    }
    if texts.is_empty() {
        return Err(body.absent("texts"));
    }
    if texts.len() > TEXTS {
        let why = format!("#/texts: expected maximum item count: {TEXTS}, found: {}", texts.len());
        return Err(malformed(&why));
    }
    let long = texts.iter().position(|text| text.chars().count() > CHARACTERS);
    if let Some(at) = long.filter(|_| family == Embedding::CohereV3) {
        let found = texts[at].chars().count();
        let why = format!("#/texts/{at}: expected maxLength: {CHARACTERS}, actual: {found}");
        return Err(malformed(&why));
    }
    Ok(texts)
}

/// One input of several parts, all of them text.
fn input_text(input: &mut Body) -> Result<String, Fault> {
    let mut parts = Vec::new();
    for mut part in input.bodies("content")? {
        let kind = part.required_text("type")?;
        if kind != "text" {
            let place = part.place("type");
            return Err(refused(place.trim_start_matches("#/"), &kind, "embeddings of images"));
        }
        parts.push(part.required_text("text")?);
    }
    Ok(parts.join("\n"))
}

/// The formats asked for.
fn kinds(body: &mut Body, member: &str, known: &[&str]) -> Result<Vec<String>, Fault> {
    let kinds = body.texts(member)?;
    match kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
        Some(kind) => Err(malformed(&format!("#/{member}: {kind} is not a valid enum value"))),
        None => Ok(kinds),
    }
}

impl Asked {
    /// What the engine is asked for; `said` is the request's metadata.
    pub(super) fn wanted(&self, cx: &Cx, model: &str, said: BTreeMap<String, String>) -> Wanted {
        let mut call = self.call.clone();
        model.clone_into(&mut call.model);
        Wanted { tenant: tenant(cx), payer: payer(&said), call, said }
    }

    pub(super) fn answer(self, embedded: Embedded, about: &About) -> Json {
        match self.form {
            Form::Titan(types) => titan_answer(&types, embedded),
            Form::Cohere { types, texts } => cohere_answer(&types, texts, embedded, about),
            Form::Nova => nova_answer(embedded),
        }
    }
}

fn titan_answer(types: &[String], embedded: Embedded) -> Json {
    let vector = embedded.vectors.into_iter().next().unwrap_or_default();
    let mut answer = json!({"inputTextTokenCount": embedded.input_tokens});
    for kind in types {
        answer["embeddingsByType"][kind] = match kind.as_str() {
            "binary" => vector.iter().map(|n| json!(u8::from(*n > 0.0))).collect(),
            _ => json!(vector),
        };
    }
    answer["embedding"] = json!(vector);
    answer
}

fn cohere_answer(
    types: &[String],
    texts: Option<Vec<String>>,
    embedded: Embedded,
    about: &About,
) -> Json {
    let mut answer = json!({"id": about.id});
    if let Some(texts) = texts {
        answer["texts"] = json!(texts);
    }
    let floats = embedded.vectors;
    if types.is_empty() {
        answer["embeddings"] = json!(floats);
        answer["response_type"] = json!("embeddings_floats");
        return answer;
    }
    let mut by_type = Map::new();
    for kind in types {
        let vectors = match kind.as_str() {
            "ubinary" => floats.iter().map(|vector| json!(packed(vector))).collect(),
            "binary" => floats.iter().map(|vector| json!(signed(vector))).collect(),
            "int8" => floats.iter().map(|vector| json!(bytes(vector, 0))).collect(),
            "uint8" => floats.iter().map(|vector| json!(bytes(vector, 128))).collect(),
            _ => json!(floats),
        };
        by_type.insert(kind.clone(), vectors);
    }
    answer["embeddings"] = Json::Object(by_type);
    answer["response_type"] = json!("embeddings_by_type");
    answer
}

/// One bit for each number, whether it is positive; the first is the highest of its byte.
fn packed(vector: &[f32]) -> Vec<u8> {
    let byte = |bits: &[f32]| {
        bits.iter().enumerate().fold(0, |byte, (at, n)| byte | u8::from(*n > 0.0) << (7 - at))
    };
    vector.chunks(8).map(byte).collect()
}

/// The same, moved to where bytes have a sign.
fn signed(vector: &[f32]) -> Vec<i16> {
    packed(vector).into_iter().map(|byte| i16::from(byte) - 128).collect()
}

/// Each number as a byte, the largest as 127, so that the direction stays; `zero` is what 0 becomes.
/// Cohere scales by its models' own statistics, which nobody else has.
fn bytes(vector: &[f32], zero: i16) -> Vec<i16> {
    let largest = vector.iter().fold(f32::MIN_POSITIVE, |largest, n| largest.max(n.abs()));
    #[expect(clippy::cast_possible_truncation, reason = "of at most 127")]
    let byte = |n: &f32| (n / largest * 127.0).round() as i16 + zero;
    vector.iter().map(byte).collect()
}
