//! What a directory says of its model: the modules in order, the transformer's shape, how texts are
//! prepared. What this build does not do is refused here, by name.
//!
//! A directory without `modules.json` is a plain transformer; its vectors are the mean of its
//! tokens, as sentence-transformers does it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::encoder::Encoder;
use super::family::Shape;
use super::head::{Head, Step};
use super::text;
use crate::limits::SETTINGS_BYTES;

/// Module paths end in these, whatever package they stood in when the model was saved.
const TRANSFORMER: &str = ".Transformer";

pub(super) struct Folder {
    /// Where configuration, vocabulary and weights of the transformer are.
    pub(super) transformer: PathBuf,
    pub(super) shape: Shape,
    pub(super) steps: Vec<Step>,
    pub(super) reading: Reading,
}

/// How texts become tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) max_tokens: usize,
    pub(super) lower_case: bool,
    /// What stands before a question, and before what may answer it.
    pub(super) query: String,
    pub(super) document: String,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

impl Folder {
    pub(super) fn read(path: &Path) -> Result<Folder, String> {
        let modules: Option<Vec<Module>> = optional(&path.join("modules.json"))?;
        let (transformer, steps) = match modules {
            None => (path.to_owned(), vec![Step::mean()]),
            Some(modules) => split(path, modules)?,
        };
        let config: Json = required(&transformer.join("config.json"))?;
        let shape = Shape::read(&config)?;
        Encoder::check(&transformer, &shape)?;
        text::check(&transformer, shape.family)?;
        Head::check(&steps, shape.hidden)?;
        let reading = reading(path, &transformer, &shape)?;
        Ok(Folder { transformer, shape, steps, reading })
    }
}

/// The transformer's directory, which is the first module's, and what follows it.
fn split(path: &Path, modules: Vec<Module>) -> Result<(PathBuf, Vec<Step>), String> {
    let mut modules = modules.into_iter();
    let first = modules.next().ok_or("modules.json lists no module")?;
    if !first.kind.ends_with(TRANSFORMER) {
        return Err(format!("begins with the module {:?}, not with a transformer", first.kind));
    }
    let steps = modules.map(|module| Step::read(&module.kind, &inside(path, &module.path)?));
    Ok((inside(path, &first.path)?, steps.collect::<Result<_, _>>()?))
}

/// A module's directory is named by a file that somebody else wrote.
fn inside(path: &Path, module: &str) -> Result<PathBuf, String> {
    let plain = Path::new(module).components();
    match plain.into_iter().all(|part| matches!(part, std::path::Component::Normal(_))) {
        // Without the slash that joining nothing leaves.
        true => Ok(path.join(module).components().collect()),
        false => Err(format!("modules.json names {module:?}, which is outside of it")),
    }
}

fn reading(path: &Path, transformer: &Path, shape: &Shape) -> Result<Reading, String> {
    #[derive(Deserialize, Default)]
    struct Sentences {
        max_seq_length: Option<usize>,
        #[serde(default)]
        do_lower_case: bool,
    }
    #[derive(Deserialize, Default)]
    struct Tokens {
        /// Models that were never told have 10^30 here.
        model_max_length: Option<f64>,
    }
    let named = format!("sentence_{}_config.json", shape.model_type);
    let mut sentences: Option<Sentences> = None;
    for name in ["sentence_bert_config.json", &named] {
        sentences = sentences.or(optional(&transformer.join(name))?);
    }
    let sentences = sentences.unwrap_or_default();
    let tokens: Tokens = optional(&transformer.join("tokenizer_config.json"))?.unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a length")]
    let of_tokenizer = tokens.model_max_length.map(|length| length.min(1e9) as usize);
    let said = sentences.max_seq_length.or(of_tokenizer).unwrap_or(usize::MAX);
    let (query, document) = prompts(path)?;
    let max_tokens = said.min(shape.max_tokens());
    Ok(Reading { max_tokens, lower_case: sentences.do_lower_case, query, document })
}

/// Sentence-transformers' names of the prompts, and the one for everything else.
fn prompts(path: &Path) -> Result<(String, String), String> {
    #[derive(Deserialize, Default)]
    struct Own {
        #[serde(default)]
        prompts: BTreeMap<String, String>,
        default_prompt_name: Option<String>,
    }
    let own = optional::<Own>(&path.join("config_sentence_transformers.json"))?.unwrap_or_default();
    let named = |names: &[&str]| {
        let default = own.default_prompt_name.as_deref();
        let mut names = names.iter().copied().chain(default);
        names.find_map(|name| own.prompts.get(name)).cloned().unwrap_or_default()
    };
    Ok((named(&["query"]), named(&["document", "passage", "corpus"])))
}

pub(super) fn required<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let read = bytes(path, SETTINGS_BYTES)?;
    serde_json::from_slice(&read).map_err(|error| format!("{}: {error}", path.display()))
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    if path.exists() { required(path).map(Some) } else { Ok(None) }
}

pub(super) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > most {
        return Err(format!("{} has {length} bytes, more than {most}", path.display()));
    }
    let mut read = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(most).read_to_end(&mut read).map_err(failed)?;
    Ok(read)
}
