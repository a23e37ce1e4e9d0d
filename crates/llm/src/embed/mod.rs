//! Embeddings: text goes in, vectors come out.

/// Texts to be made into vectors, in one call.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedCall {
    /// The provider's own name of the model.
    pub model: String,
    pub texts: Vec<String>,
    /// How many numbers a vector has, where the model lets one choose.
    pub dimensions: Option<u32>,
    pub role: EmbedRole,
    /// Vectors of length 1.
    pub normalize: bool,
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
