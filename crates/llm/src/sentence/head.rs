//! What follows the transformer: tokens to one vector, and what is done to that.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Axis};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::encoder::linear;
use super::folder::required;
use super::weights::{self, Weights};
use crate::embed::unit;

/// A module that `modules.json` lists after the transformer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Pooling(Vec<Pool>),
    /// A matrix from so many numbers to so many, whose weights are in the directory.
    Dense {
        path: PathBuf,
        from: usize,
        to: usize,
        bias: bool,
        tanh: bool,
    },
    Normalize,
}

/// One way from many rows to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    First,
    Largest,
    Mean,
    /// The sum over the root of the length.
    MeanByRoot,
    /// Later tokens count for more, by their places from 1.
    MeanByPlace,
    Last,
}

const MEAN: &str = "pooling_mode_mean_tokens";

/// In the order in which their vectors are joined, under the names that switch them on and those of
/// newer files.
const POOLS: [(&str, &str, Pool); 6] = [
    ("pooling_mode_cls_token", "cls", Pool::First),
    ("pooling_mode_max_tokens", "max", Pool::Largest),
    (MEAN, "mean", Pool::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pool::MeanByRoot),
    ("pooling_mode_weightedmean_tokens", "weightedmean", Pool::MeanByPlace),
    ("pooling_mode_lasttoken", "lasttoken", Pool::Last),
];

impl Step {
    pub(super) fn mean() -> Step {
        Step::Pooling(vec![Pool::Mean])
    }

    pub(super) fn read(kind: &str, path: &Path) -> Result<Step, String> {
        match kind.rsplit('.').next() {
            Some("Pooling") => pooling(&required(&path.join("config.json"))?),
            Some("Dense") => dense(path),
            Some("Normalize") => Ok(Step::Normalize),
            _ => Err(format!("the module {kind:?} is not built; Pooling, Dense and Normalize are")),
        }
    }
}

fn pooling(config: &Map<String, Json>) -> Result<Step, String> {
    if config.get("include_prompt") == Some(&Json::Bool(false)) {
        return Err("a pooling that leaves the prompt out is not built".to_owned());
    }
    let named = config.get("pooling_mode").and_then(Json::as_str);
    let switched = |switch: &str| config.get(switch) == Some(&Json::Bool(true));
    let switches = config.keys().filter(|key| key.starts_with("pooling_mode_") && switched(key));
    // The mean is on unless the file says otherwise, as in sentence-transformers itself.
    let unsaid = named.is_none() && !config.contains_key(MEAN);
    let unsaid = unsaid.then_some(MEAN);
    let asked: Vec<&str> = switches.map(String::as_str).chain(named).chain(unsaid).collect();
    let is = |pool: &(&str, &str, Pool), name: &str| pool.0 == name || pool.1 == name;
    if let Some(other) = asked.iter().find(|name| !POOLS.iter().any(|pool| is(pool, name))) {
        return Err(format!("the pooling {other:?} is not built"));
    }
    let pools = POOLS.iter().filter(|pool| asked.iter().any(|name| is(pool, name)));
    let pools: Vec<Pool> = pools.map(|pool| pool.2).collect();
    if pools.is_empty() {
        Err("the pooling has no mode".to_owned())
    } else {
        Ok(Step::Pooling(pools))
    }
}

fn dense(path: &Path) -> Result<Step, String> {
    #[derive(Deserialize)]
    struct Config {
        in_features: usize,
        out_features: usize,
        #[serde(default = "yes")]
        bias: bool,
        activation_function: String,
    }
    fn yes() -> bool {
        true
    }
    let config: Config = required(&path.join("config.json"))?;
    let tanh = match config.activation_function.rsplit('.').next() {
        Some("Tanh") => true,
        Some("Identity") => false,
        _ => return Err(format!("the activation {:?} is not built", config.activation_function)),
    };
    let (from, to) = (config.in_features, config.out_features);
    Ok(Step::Dense { path: path.to_owned(), from, to, bias: config.bias, tanh })
}

/// The steps with their weights.
pub(super) struct Head {
    steps: Vec<Loaded>,
    dimensions: usize,
}

enum Loaded {
    Pooling(Vec<Pool>),
    Dense { weight: Array2<f32>, bias: Array1<f32>, tanh: bool },
    Normalize,
}

impl Head {
    /// Whether it could be loaded, by what files say of themselves.
    pub(super) fn check(steps: &[Step], hidden: usize) -> Result<(), String> {
        let check = |path: &Path, shape, bias| {
            weights::check(path, |weights| matrix(weights, shape, bias))?;
            // Nobody looks at them.
            Ok((Array2::zeros((0, 0)), Array1::zeros(0)))
        };
        Head::joined(steps, hidden, check).map(drop)
    }

    pub(super) fn load(steps: &[Step], hidden: usize) -> Result<Head, String> {
        let load =
            |path: &Path, shape, bias| weights::with(path, |weights| matrix(weights, shape, bias));
        Head::joined(steps, hidden, load)
    }

    /// Checks that each step takes what comes out of the one before.
    fn joined(
        steps: &[Step],
        hidden: usize,
        read: impl Fn(&Path, (usize, usize), bool) -> Result<Matrix, String>,
    ) -> Result<Head, String> {
        if !matches!(steps.first(), Some(Step::Pooling(_))) {
            return Err("modules.json has no pooling after the transformer".to_owned());
        }
        let mut head = Head { steps: Vec::new(), dimensions: hidden };
        for step in steps {
            let loaded = match step {
                Step::Pooling(pools) if head.steps.is_empty() => {
                    head.dimensions *= pools.len();
                    Loaded::Pooling(pools.clone())
                }
                Step::Pooling(_) => return Err("modules.json has two poolings".to_owned()),
                Step::Dense { path, from, to, bias, tanh } => {
                    if *from != head.dimensions {
                        let found = head.dimensions;
                        return Err(format!("a dense module takes {from} numbers, not {found}"));
                    }
                    head.dimensions = *to;
                    let (weight, bias) = read(path, (*to, *from), *bias)?;
                    Loaded::Dense { weight, bias, tanh: *tanh }
                }
                Step::Normalize => Loaded::Normalize,
            };
            head.steps.push(loaded);
        }
        Ok(head)
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// One vector of a text's rows.
    pub(super) fn vector(&self, hidden: &Array2<f32>) -> Vec<f32> {
        // A text without a word, at a model that puts no marks around it.
        if hidden.nrows() == 0 {
            return vec![0.0; self.dimensions];
        }
        let mut vector = Vec::new();
        for step in &self.steps {
            vector = match step {
                Loaded::Pooling(pools) => pools.iter().flat_map(|pool| pool.of(hidden)).collect(),
                Loaded::Dense { weight, bias, tanh } => {
                    let row = Array1::from(vector).insert_axis(Axis(0));
                    let mut row = linear(&row.view(), weight, bias);
                    if *tanh {
                        row.mapv_inplace(f32::tanh);
                    }
                    row.into_raw_vec_and_offset().0
                }
                Loaded::Normalize => unit(vector),
            };
        }
        vector
    }
}

/// Of a dense module, with its bias.
type Matrix = (Array2<f32>, Array1<f32>);

fn matrix(weights: &Weights<'_>, shape: (usize, usize), bias: bool) -> Result<Matrix, String> {
    let weight = weights.matrix("linear.weight", shape)?;
    let none = || Ok(Array1::zeros(shape.0));
    let bias = if bias { weights.row("linear.bias", shape.0) } else { none() };
    Ok((weight, bias?))
}

impl Pool {
    fn of(self, hidden: &Array2<f32>) -> Vec<f32> {
        let rows = hidden.nrows();
        let row = match self {
            Pool::First => hidden.row(0).to_owned(),
            Pool::Last => hidden.row(rows - 1).to_owned(),
            Pool::Largest => hidden.map_axis(Axis(0), |column| {
                column.iter().copied().fold(f32::NEG_INFINITY, f32::max)
            }),
            Pool::Mean => hidden.sum_axis(Axis(0)) / rows as f32,
            Pool::MeanByRoot => hidden.sum_axis(Axis(0)) / (rows as f32).sqrt(),
            Pool::MeanByPlace => {
                let places = Array1::from_iter((1..=rows).map(|place| place as f32));
                places.dot(hidden) / places.sum()
            }
        };
        row.to_vec()
    }
}
