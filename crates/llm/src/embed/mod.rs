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

/// The same direction at length 1; a vector of zeros has none and stays.
pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "of no more than 1")]
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
    vector
}
