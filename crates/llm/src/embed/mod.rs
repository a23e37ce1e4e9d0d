//! Embeddings: text goes in, vectors come out.

pub(crate) mod hashing;

use crate::limits::{EMBED_TEXT_BYTES, EMBED_TEXTS};
use crate::provider::{ModelError, ModelErrorKind};

/// Texts to be made into vectors, in one call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EmbedCall {
    /// The provider's own name of the model.
    pub model: String,
    pub texts: Vec<String>,
    /// How many numbers a vector has, where the model lets one choose.
    pub dimensions: Option<u32>,
    pub role: EmbedRole,
    /// Vectors of length 1.
    pub normalize: bool,
    /// If the client says so; an embedder of this machine then leaves the end out.
    pub truncate: Option<Truncate>,
}

/// What becomes of a text that is longer than the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// Its end is left out.
    End,
    Start,
    /// The call is refused.
    Never,
}

/// What the texts are: some models embed a question otherwise than what may answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmbedRole {
    #[default]
    Document,
    Query,
}

/// One vector for each text, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    pub vectors: Vec<Vec<f32>>,
    pub input_tokens: u64,
}

/// What an embedder of this machine takes on at once.
pub(crate) fn bounded(provider: &str, texts: &[String]) -> Result<(), ModelError> {
    let long = texts.iter().position(|text| text.len() > EMBED_TEXT_BYTES);
    let why = match long {
        _ if texts.len() > EMBED_TEXTS => {
            format!("{} texts in one call; it takes {EMBED_TEXTS}", texts.len())
        }
        Some(at) => format!("text {at} is longer than {EMBED_TEXT_BYTES} bytes"),
        None => return Ok(()),
    };
    Err(ModelError::new(ModelErrorKind::TooLong, format!("{provider}: {why}")))
}

/// The same direction at length 1; a vector of zeros has none and stays.
pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "of no more than 1")]
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    vector
}
