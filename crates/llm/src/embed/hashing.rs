//! The embedder that is part of the binary: texts to vectors by the words in them, without a model.
//!
//! Each word, and each run of three or four characters inside it, is a feature. A feature's hash says
//! which number of the vector it counts in and with which sign, so that features which meet by
//! accident cancel out on average. What occurs again counts by the square root of how often. The
//! vector is brought to length 1. Texts that share words or parts of words are close; what means the
//! same in other words is not. `docs/models.md` says what to expect.
//!
//! INVARIANT: the same text gives the same bytes on every platform and in every release, because
//! vectors are stored and compared for years. Only arithmetic that IEEE 754 rounds exactly is used
//! (no logarithm), and sums have an order.

use std::collections::BTreeMap;

use serde::Deserialize;
use wire::converse::Call;

use super::{EmbedCall, Embedded, bounded, unit};
use crate::embedded::{HASH_MODEL, HASHING};
use crate::provider::{BoxFuture, Deltas, ModelError, ModelErrorKind, Provider};

/// How many numbers a vector may have: AWS's own models have one of these.
/// AWS: Titan V2 1,024, 512, 256; Titan V1 1,536; Titan Multimodal 1,024, 384, 256; Cohere 1,024, 1,536
/// (Bedrock user guide, "Amazon Titan Embeddings Text", "Cohere Embed v3", "Cohere Embed v4").
const DIMENSIONS: [u32; 6] = [256, 384, 512, 1024, 1536, 3072];
const DEFAULT_DIMENSIONS: u32 = 1024;

/// Characters of the parts of a word.
const GRAMS: [usize; 2] = [3, 4];
/// All parts of a word together weigh as much as this share of the word.
const GRAMS_WEIGHT: f64 = 0.8;
/// A word without its neighbours says less the shorter it is; articles and prepositions are short.
const SHORT_WEIGHT: f64 = 0.4;
const SHORT: usize = 3;

/// Bytes that are hashed, in a millisecond or two, by the thread that asks; others wait on it.
const AT_ONCE: usize = 32 << 10;

/// `[providers.NAME]` with `kind = "hashing"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashingConfig {
    /// Of vectors whose call asks for no number of its own: 256, 384, 512, 1024, 1536 or 3072.
    pub dimensions: Option<u32>,
}

/// `craton.hash`.
pub(crate) struct Hashing {
    dimensions: Option<u32>,
}

impl Hashing {
    pub(crate) fn open(config: &HashingConfig) -> Result<Hashing, String> {
        match config.dimensions {
            Some(other) if !DIMENSIONS.contains(&other) => Err(not_among(other)),
            dimensions => Ok(Hashing { dimensions }),
        }
    }

    /// What the call says, else the model's name (`craton.hash:512`), else the configuration.
    fn dimensions(&self, call: &EmbedCall) -> Result<u32, ModelError> {
        let of_name = call.model.strip_prefix(HASH_MODEL).and_then(|rest| rest.strip_prefix(':'));
        let of_name = of_name.map(|number| number.parse().unwrap_or(0));
        let asked = call.dimensions.or(of_name).or(self.dimensions).unwrap_or(DEFAULT_DIMENSIONS);
        match DIMENSIONS.contains(&asked) {
            true => Ok(asked),
            false => Err(ModelError::new(ModelErrorKind::Unsupported, not_among(asked))),
        }
    }

    fn vectors(&self, call: &EmbedCall) -> Result<Embedded, ModelError> {
        let dimensions = self.dimensions(call)? as usize;
        bounded(HASHING, &call.texts)?;
        let vectors = call.texts.iter().map(|text| vector(text, dimensions)).collect();
        let words = call.texts.iter().map(|text| words(text).len() as u64).sum();
        Ok(Embedded { vectors, input_tokens: words })
    }
}

fn not_among(asked: u32) -> String {
    format!("{HASHING}: vectors of {asked} numbers are not made; choose one of {DIMENSIONS:?}")
}

impl Provider for Hashing {
    fn name(&self) -> &str {
        HASHING
    }

    fn embed<'a>(&'a self, call: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        let bytes: usize = call.texts.iter().map(String::len).sum();
        if bytes <= AT_ONCE {
            return Box::pin(std::future::ready(self.vectors(call)));
        }
        let (own, call) = (Hashing { ..*self }, call.clone());
        let made = tokio::task::spawn_blocking(move || own.vectors(&call));
        Box::pin(async { made.await.expect("nothing in it panics, and nobody cancels it") })
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        let message = format!("{HASHING}: {:?} makes embeddings and answers nothing", call.model);
        Box::pin(std::future::ready(Err(ModelError::new(ModelErrorKind::Unsupported, message))))
    }
}

/// Of length 1, or zeros where there is no word.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sums = vec![0.0; dimensions];
    for (hash, Feature { times, weight }) in features(text) {
        let at = (u128::from(hash) * dimensions as u128) >> 64;
        let sign = if mixed(hash) & 1 == 0 { 1.0 } else { -1.0 };
        sums[at as usize] += sign * weight * times.sqrt();
    }
    #[expect(clippy::cast_possible_truncation, reason = "vectors are of floats")]
    unit(sums.into_iter().map(|sum| sum as f32).collect())
}

#[derive(Default)]
struct Feature {
    times: f64,
    weight: f64,
}

/// In the order of their hashes, which is the order of the sums.
fn features(text: &str) -> BTreeMap<u64, Feature> {
    let mut features: BTreeMap<u64, Feature> = BTreeMap::new();
    let mut count = |kind: u8, feature: &[char], weight: f64| {
        let found = features.entry(hash(kind, feature)).or_default();
        found.times += 1.0;
        found.weight = found.weight.max(weight);
    };
    for word in words(text) {
        let weight = if word.len() <= SHORT { SHORT_WEIGHT } else { 1.0 };
        count(b'w', &word, if is_unspaced(word[0]) { 1.0 } else { weight });
        let framed: Vec<char> = ['<'].into_iter().chain(word).chain(['>']).collect();
        let grams = GRAMS.iter().flat_map(|length| framed.windows(*length));
        let number = grams.clone().count();
        for gram in grams {
            count(b'g', gram, weight * GRAMS_WEIGHT / (number as f64).sqrt());
        }
    }
    features
}

/// Stretches of letters and digits in lower case. Scripts that put no space between words are cut
/// into pairs of characters.
fn words(text: &str) -> Vec<Vec<char>> {
    let lower: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let mut words = Vec::new();
    let alike = |a: &char, b: &char| {
        a.is_alphanumeric() && b.is_alphanumeric() && is_unspaced(*a) == is_unspaced(*b)
    };
    for stretch in lower.chunk_by(alike).filter(|stretch| stretch[0].is_alphanumeric()) {
        match is_unspaced(stretch[0]) && stretch.len() > 2 {
            true => words.extend(stretch.windows(2).map(<[char]>::to_vec)),
            false => words.push(stretch.to_vec()),
        }
    }
    words
}

/// Thai to Khmer, kana and the ideographs, by Unicode's blocks.
fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// FNV-1a over the characters' UTF-8, then mixed: its high bits alone are too alike.
fn hash(kind: u8, feature: &[char]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    take(kind);
    for letter in feature {
        letter.encode_utf8(&mut [0; 4]).bytes().for_each(&mut take);
    }
    mixed(hash)
}

/// The finalizer of SplitMix64.
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn close(a: &str, b: &str) -> f32 {
        let (a, b) = (vector(a, 1024), vector(b, 1024));
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    }

    /// Stored vectors would no longer fit to new ones if this changed.
    #[test]
    fn a_text_has_the_same_vector_for_ever() {
        let vector = vector("Wo ist meine Bestellung, please? 注文はどこ", 256);
        let told: Vec<_> = vector.iter().enumerate().filter(|(_, n)| n.abs() > 0.19).collect();
        let sum = vector.iter().fold(0u64, |sum, n| mixed(sum ^ u64::from(n.to_bits())));
        expect!["[(61, -0.3081048), (67, -0.3081048), (74, -0.3077291), (86, 0.3081048), (120, 0.3081048), (214, 0.3646521), (233, 0.3081048)] e19f49899d1697aa"].assert_eq(&format!("{told:?} {sum:016x}"));
    }

    #[test]
    fn texts_that_share_words_or_their_parts_are_closer() {
        let question = "How do I reset my password?";
        let near = close(question, "Resetting a forgotten password");
        let far = close(question, "Our office is closed on Sundays");
        assert!(near > 0.25 && far < 0.15, "{near} {far}");
        assert!(close("東京の天気", "東京で雨") > close("東京の天気", "犬が好き"));
        assert!(close("Straße", "STRASSE").is_finite());
        assert!((close(question, question) - 1.0).abs() < 1e-6);
        assert!(vector(" -- ", 256).iter().all(|n| *n == 0.0));
    }

    fn asked(model: &str, dimensions: Option<u32>) -> String {
        let call = EmbedCall {
            model: model.to_owned(),
            texts: vec!["a b".to_owned()],
            dimensions,
            ..EmbedCall::default()
        };
        match Hashing::open(&HashingConfig { dimensions: Some(512) }).unwrap().vectors(&call) {
            Ok(made) => format!("{} numbers of {} words", made.vectors[0].len(), made.input_tokens),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_call_the_name_or_the_configuration_says_how_long_vectors_are() {
        expect!["256 numbers of 2 words"].assert_eq(&asked("craton.hash:1536", Some(256)));
        expect!["1536 numbers of 2 words"].assert_eq(&asked("craton.hash:1536", None));
        expect!["512 numbers of 2 words"].assert_eq(&asked("any", None));
        expect!["hashing: vectors of 7 numbers are not made; choose one of [256, 384, 512, 1024, 1536, 3072] (CR0037)"].assert_eq(&asked("any", Some(7)));
        expect!["hashing: vectors of 0 numbers are not made; choose one of [256, 384, 512, 1024, 1536, 3072] (CR0037)"].assert_eq(&asked("craton.hash:x", None));
    }
}
