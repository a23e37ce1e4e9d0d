//! The transformer: the numbers of pieces to one row of floats for each of them.
//!
//! All texts of a group stand below one another in one matrix, so that each weight is read once and
//! nothing is filled up; only attention looks at each text by itself. A text's rows are the same in
//! whatever company it goes through.

use std::ops::Range;
use std::path::Path;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, s};

use super::family::{Activation, Family, Names, Shape};
use super::weights::{self, Weights};

pub(super) struct Encoder {
    shape: Shape,
    words: Array2<f32>,
    positions: Array2<f32>,
    /// The row of the first kind of text; there is no second one.
    kind: Option<Array1<f32>>,
    norm: Norm,
    layers: Vec<Layer>,
    /// What a distance adds to attention, for each head.
    distances: Option<Array2<f32>>,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    norm: Norm,
}

impl Encoder {
    pub(super) fn load(directory: &Path, shape: &Shape) -> Result<Encoder, String> {
        weights::with(directory, |weights| Encoder::take(&Source::new(weights, shape), shape))
    }

    /// Whether it could be loaded, by what the file says of itself.
    pub(super) fn check(directory: &Path, shape: &Shape) -> Result<(), String> {
        weights::check(directory, |weights| Encoder::take(&Source::new(weights, shape), shape))
    }

    fn take(source: &Source<'_>, shape: &Shape) -> Result<Encoder, String> {
        let Shape { hidden, heads, buckets, kinds, .. } = *shape;
        let table = |name: &str, rows| {
            source
                .weights
                .matrix(&source.name(&format!("embeddings.{name}.weight")), (rows, hidden))
        };
        let kind = match kinds {
            0 => None,
            kinds => Some(table("token_type_embeddings", kinds)?.row(0).to_owned()),
        };
        let distances = match buckets {
            0 => None,
            buckets => {
                let name = source.name("encoder.relative_attention_bias.weight");
                Some(source.weights.matrix(&name, (buckets, heads))?)
            }
        };
        let names = shape.family.names();
        let layers = (0..shape.layers).map(|number| source.layer(&names, number, shape));
        Ok(Encoder {
            words: table("word_embeddings", shape.vocabulary)?,
            positions: table("position_embeddings", shape.positions)?,
            kind,
            norm: source.norm("embeddings.LayerNorm", shape)?,
            layers: layers.collect::<Result<_, _>>()?,
            distances,
            shape: shape.clone(),
        })
    }

    pub(super) fn vocabulary(&self) -> usize {
        self.words.nrows()
    }

    /// The last layer's rows of each text.
    pub(super) fn forward(&self, texts: &[Vec<u32>]) -> Vec<Array2<f32>> {
        let ranges = ranges(texts);
        let mut hidden = self.embeddings(texts);
        let longest = ranges.iter().map(Range::len).max().unwrap_or(0);
        let distances = self.distances.as_ref().map(|table| biases(table, longest));
        for layer in &self.layers {
            let seen = self.attention(layer, &hidden, &ranges, distances.as_ref());
            hidden += &layer.out.of(&seen.view());
            layer.attention_norm.apply(&mut hidden);
            let mut inner = layer.up.of(&hidden.view());
            activate(self.shape.activation, &mut inner);
            hidden += &layer.down.of(&inner.view());
            layer.norm.apply(&mut hidden);
        }
        ranges.into_iter().map(|range| hidden.slice(s![range, ..]).to_owned()).collect()
    }

    fn embeddings(&self, texts: &[Vec<u32>]) -> Array2<f32> {
        let rows: usize = texts.iter().map(Vec::len).sum();
        let mut hidden = Array2::zeros((rows, self.shape.hidden));
        let places = texts.iter().flat_map(|text| text.iter().enumerate());
        for (mut row, (position, piece)) in hidden.outer_iter_mut().zip(places) {
            row += &self.words.row(*piece as usize);
            row += &self.positions.row(self.shape.first_position + position);
            if let Some(kind) = &self.kind {
                row += kind;
            }
        }
        self.norm.apply(&mut hidden);
        hidden
    }

    fn attention(
        &self,
        layer: &Layer,
        hidden: &Array2<f32>,
        ranges: &[Range<usize>],
        distances: Option<&Array3<f32>>,
    ) -> Array2<f32> {
        let of = |linear: &Linear| linear.of(&hidden.view());
        let (query, key, value) = (of(&layer.query), of(&layer.key), of(&layer.value));
        let mut seen = Array2::zeros(hidden.raw_dim());
        let width = self.shape.hidden / self.shape.heads;
        let scale = 1.0 / (width as f32).sqrt();
        for range in ranges {
            for head in 0..self.shape.heads {
                let part = s![range.clone(), head * width..(head + 1) * width];
                let mut scores = query.slice(part).dot(&key.slice(part).t());
                scores *= scale;
                if let Some(distances) = distances {
                    let tokens = range.len();
                    scores += &distances.slice(s![head, ..tokens, ..tokens]);
                }
                scores.outer_iter_mut().for_each(|mut row| softmax(row.as_slice_mut()));
                seen.slice_mut(part).assign(&scores.dot(&value.slice(part)));
            }
        }
        seen
    }
}

fn ranges(texts: &[Vec<u32>]) -> Vec<Range<usize>> {
    let mut end = 0;
    let range = |text: &Vec<u32>| {
        end += text.len();
        end - text.len()..end
    };
    texts.iter().map(range).collect()
}

struct Linear {
    /// One row for each number that comes out.
    weight: Array2<f32>,
    bias: Array1<f32>,
}

impl Linear {
    fn of(&self, rows: &ArrayView2<'_, f32>) -> Array2<f32> {
        linear(rows, &self.weight, &self.bias)
    }
}

/// Rows times a matrix, and the bias.
pub(super) fn linear(
    rows: &ArrayView2<'_, f32>,
    weight: &Array2<f32>,
    bias: &Array1<f32>,
) -> Array2<f32> {
    let shape = (rows.nrows(), weight.nrows());
    let mut out = bias.broadcast(shape).expect("a bias is as long as a row").to_owned();
    general_mat_mul(1.0, rows, &weight.t(), 1.0, &mut out);
    out
}

struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
    epsilon: f32,
}

impl Norm {
    fn apply(&self, rows: &mut Array2<f32>) {
        for mut row in rows.axis_iter_mut(Axis(0)) {
            let length = row.len() as f32;
            let mean = row.sum() / length;
            row -= mean;
            let variance = row.iter().map(|x| x * x).sum::<f32>() / length;
            row *= 1.0 / (variance + self.epsilon).sqrt();
            row *= &self.weight;
            row += &self.bias;
        }
    }
}

/// In place; the largest is taken off first, so that nothing overflows.
fn softmax(row: Option<&mut [f32]>) {
    let row = row.expect("rows of a fresh matrix lie in one piece");
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in row.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    row.iter_mut().for_each(|score| *score /= sum);
}

fn activate(activation: Activation, rows: &mut Array2<f32>) {
    match activation {
        Activation::Gelu => {
            rows.mapv_inplace(|x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)));
        }
        Activation::GeluTanh => rows.mapv_inplace(|x| {
            let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }),
        Activation::Relu => rows.mapv_inplace(|x| x.max(0.0)),
    }
}

/// The error function to the precision of a float, as a quotient of polynomials without a branch, so
/// that the compiler works on several at once. The coefficients are those of Eigen and XLA.
fn erf(x: f32) -> f32 {
    const ABOVE: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_5e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BELOW: [f32; 5] =
        [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_473_9e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let of = |polynomial: &[f32]| polynomial.iter().fold(0.0, |sum, next| sum * square + next);
    x * of(&ABOVE) / of(&BELOW)
}

/// For each head, what stands between the tokens of a text.
fn biases(table: &Array2<f32>, tokens: usize) -> Array3<f32> {
    Array3::from_shape_fn((table.ncols(), tokens, tokens), |(head, from, to)| {
        table[(bucket(from, to, table.nrows()), head)]
    })
}

/// Near distances have a bucket each, far ones share them by their logarithm; half of the buckets
/// are for what comes after.
fn bucket(from: usize, to: usize, buckets: usize) -> usize {
    const FARTHEST: f64 = 128.0;
    let half = buckets / 2;
    let (after, distance) = (if to > from { half } else { 0 }, from.abs_diff(to));
    let near = half / 2;
    if distance < near {
        return after + distance;
    }
    let far = (distance as f64 / near as f64).ln() / (FARTHEST / near as f64).ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of at least 0")]
    let far = (far * (half - near) as f64) as usize;
    after + (near + far).min(half - 1)
}

/// Where tensors come from, under which names.
struct Source<'a> {
    weights: &'a Weights<'a>,
    prefix: &'static str,
}

impl<'a> Source<'a> {
    fn new(weights: &'a Weights<'a>, shape: &Shape) -> Source<'a> {
        let prefix = shape.family.prefix();
        let found = weights.has(&format!("{prefix}embeddings.word_embeddings.weight"));
        Source { weights, prefix: if found { prefix } else { "" } }
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn layer(&self, names: &Names, number: usize, shape: &Shape) -> Result<Layer, String> {
        let Shape { hidden, inner, .. } = *shape;
        let at = |part: &str| format!("{}.{number}.{part}", names.layer);
        let square = |part: &str| self.linear(&at(part), (hidden, hidden));
        Ok(Layer {
            query: square(names.query)?,
            key: square(names.key)?,
            value: square(names.value)?,
            out: square(names.out)?,
            attention_norm: self.norm(&at(names.attention_norm), shape)?,
            up: self.linear(&at(names.up), (inner, hidden))?,
            down: self.linear(&at(names.down), (hidden, inner))?,
            norm: self.norm(&at(names.norm), shape)?,
        })
    }

    fn linear(&self, name: &str, (out, into): (usize, usize)) -> Result<Linear, String> {
        let name = self.name(name);
        Ok(Linear {
            weight: self.weights.matrix(&format!("{name}.weight"), (out, into))?,
            bias: self.weights.row(&format!("{name}.bias"), out)?,
        })
    }

    /// Models that were made from TensorFlow's have other words for the two.
    fn norm(&self, name: &str, shape: &Shape) -> Result<Norm, String> {
        let name = self.name(name);
        let old = self.weights.has(&format!("{name}.gamma"));
        let (weight, bias) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        Ok(Norm {
            weight: self.weights.row(&format!("{name}.{weight}"), shape.hidden)?,
            bias: self.weights.row(&format!("{name}.{bias}"), shape.hidden)?,
            epsilon: match shape.family {
                Family::DistilBert => 1e-12,
                Family::Bert | Family::Roberta | Family::MpNet => shape.epsilon,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the integral, in a thousand steps.
    fn exactly(x: f64) -> f64 {
        let step = x / 1000.0;
        let middles = (0..1000).map(|n| (-((f64::from(n) + 0.5) * step).powi(2)).exp());
        2.0 / std::f64::consts::PI.sqrt() * middles.sum::<f64>() * step
    }

    #[test]
    fn the_error_function_is_precise_everywhere() {
        for n in -60..=60 {
            let x = n as f32 / 12.0;
            let error = (f64::from(erf(x)) - exactly(f64::from(x))).abs();
            assert!(error < 1e-6, "{x}: {error}");
        }
    }

    /// As transformers' MPNet has them for a text of 200 tokens.
    #[test]
    fn distances_have_buckets_that_grow() {
        let before = [0, 1, 7, 8, 11, 16, 31, 32, 64, 127, 199].map(|far| bucket(far, 0, 32));
        assert_eq!(before, [0, 1, 7, 8, 8, 10, 11, 12, 14, 15, 15]);
        assert_eq!([1, 8, 199].map(|far| bucket(0, far, 32)), [17, 24, 31]);
    }
}
