//! The transformers that are read: BERT and its kin. They compute nearly the same; what each calls
//! its tensors, and where its positions begin, stands here.
//!
//! Source of names and numbers: the models' files themselves, and the documentation of Hugging
//! Face's transformers.

use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    DistilBert,
    /// With XLM-RoBERTa and CamemBERT, which differ in their vocabularies alone.
    Roberta,
    MpNet,
}

const FAMILIES: [(&str, Family); 6] = [
    ("bert", Family::Bert),
    ("camembert", Family::Roberta),
    ("distilbert", Family::DistilBert),
    ("mpnet", Family::MpNet),
    ("roberta", Family::Roberta),
    ("xlm-roberta", Family::Roberta),
];

/// The activation between the two matrices of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Gelu,
    /// By the hyperbolic tangent.
    GeluTanh,
    Relu,
}

/// A transformer's shape.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) family: Family,
    pub(super) model_type: String,
    pub(super) hidden: usize,
    pub(super) inner: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    /// The row of the first token's position.
    pub(super) first_position: usize,
    pub(super) kinds: usize,
    /// MPNet's buckets of distances.
    pub(super) buckets: usize,
    pub(super) epsilon: f32,
    pub(super) activation: Activation,
}

/// `config.json`; DistilBERT has names of its own.
#[derive(Deserialize)]
struct Config {
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: usize,
    #[serde(default = "smallest")]
    layer_norm_eps: f32,
    #[serde(alias = "activation", default = "gelu")]
    hidden_act: String,
    pad_token_id: Option<usize>,
    position_embedding_type: Option<String>,
    #[serde(default = "thirty_two")]
    relative_attention_num_buckets: usize,
}

fn smallest() -> f32 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn thirty_two() -> usize {
    32
}

impl Shape {
    pub(super) fn read(config: &Json) -> Result<Shape, String> {
        let family = family(config)?;
        let model_type = config["model_type"].as_str().unwrap_or_default().to_owned();
        let config =
            Config::deserialize(config).map_err(|error| format!("config.json: {error}"))?;
        let absolute = |kind: &String| kind == "absolute";
        if let Some(other) = config.position_embedding_type.filter(|kind| !absolute(kind)) {
            return Err(format!(
                "position_embedding_type {other:?} is not built, only \"absolute\""
            ));
        }
        let activation = match config.hidden_act.as_str() {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            other => return Err(format!("the activation {other:?} is not built")),
        };
        let shape = Shape {
            family,
            model_type,
            hidden: config.hidden_size,
            inner: config.intermediate_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings,
            first_position: match family {
                Family::Bert | Family::DistilBert => 0,
                Family::Roberta | Family::MpNet => {
                    config.pad_token_id.map_or(2, |pad| pad.saturating_add(1))
                }
            },
            kinds: match family {
                Family::Bert | Family::Roberta => config.type_vocab_size.max(1),
                Family::DistilBert | Family::MpNet => 0,
            },
            buckets: match family {
                Family::MpNet => config.relative_attention_num_buckets,
                Family::Bert | Family::DistilBert | Family::Roberta => 0,
            },
            epsilon: config.layer_norm_eps,
            activation,
        };
        shape.checked()
    }

    fn checked(self) -> Result<Shape, String> {
        let Shape { hidden, heads, positions, first_position, buckets, .. } = self;
        if heads == 0 || hidden == 0 || hidden % heads != 0 {
            return Err(format!("config.json: {hidden} numbers do not divide into {heads} heads"));
        }
        if positions <= first_position.saturating_add(LEAST_TOKENS) {
            return Err(format!("config.json: {positions} positions are too few"));
        }
        if buckets % 4 != 0 {
            return Err(format!("config.json: {buckets} buckets of distances do not halve twice"));
        }
        Ok(self)
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.positions - self.first_position
    }
}

/// The marks around a text, and one token.
const LEAST_TOKENS: usize = 3;

fn family(config: &Json) -> Result<Family, String> {
    let kind = config["model_type"].as_str().unwrap_or_default();
    let found = FAMILIES.iter().find(|(name, _)| *name == kind);
    found.map(|(_, family)| *family).ok_or_else(|| {
        let known = FAMILIES.map(|(name, _)| name).join(", ");
        let named = &config["architectures"][0];
        format!("the architecture {kind:?} ({named}) is not built; there are {known}")
    })
}

/// The names of one layer's parts; each is followed by `.weight` and `.bias`.
pub(super) struct Names {
    pub(super) layer: &'static str,
    pub(super) query: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) out: &'static str,
    pub(super) attention_norm: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    pub(super) norm: &'static str,
}

impl Family {
    /// What stands before all names where the model was saved as a part of a larger one.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Family::Bert => "bert.",
            Family::DistilBert => "distilbert.",
            Family::Roberta => "roberta.",
            Family::MpNet => "mpnet.",
        }
    }

    pub(super) fn names(self) -> Names {
        match self {
            Family::Bert | Family::Roberta => Names {
                layer: "encoder.layer",
                query: "attention.self.query",
                key: "attention.self.key",
                value: "attention.self.value",
                out: "attention.output.dense",
                attention_norm: "attention.output.LayerNorm",
                up: "intermediate.dense",
                down: "output.dense",
                norm: "output.LayerNorm",
            },
            Family::MpNet => Names {
                query: "attention.attn.q",
                key: "attention.attn.k",
                value: "attention.attn.v",
                out: "attention.attn.o",
                attention_norm: "attention.LayerNorm",
                ..Family::Bert.names()
            },
            Family::DistilBert => Names {
                layer: "transformer.layer",
                query: "attention.q_lin",
                key: "attention.k_lin",
                value: "attention.v_lin",
                out: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                up: "ffn.lin1",
                down: "ffn.lin2",
                norm: "output_layer_norm",
            },
        }
    }
}
