//! A sentence-transformer from a directory: texts to vectors on this machine, by the model's own
//! weights.
//!
//! `folder` reads what the directory says of itself and refuses what is not built; that is done
//! when Craton starts. The first call loads vocabulary (`text`) and weights (`weights`); `encoder`
//! is the transformer, `head` what follows it. All of it is computed on threads for work that
//! blocks, no more of them at once than there are cores. Nothing is fetched, and no code of the
//! directory is run.

mod encoder;
mod family;
mod folder;
mod head;
mod text;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio::sync::{OnceCell, Semaphore};
use wire::converse::Call;

use crate::embed::{EmbedCall, Embedded, bounded, unit};
use crate::limits::TOKENS_AT_ONCE;
use crate::models::ConfigError;
use crate::provider::{BoxFuture, Deltas, ModelError, ModelErrorKind, Provider};
use encoder::Encoder;
use folder::Folder;
use head::Head;
use text::Texts;

/// `[providers.NAME]` with `kind = "sentence-transformer"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model's directory, relative to `craton.toml`.
    pub path: PathBuf,
}

pub(crate) struct Sentence {
    /// `[providers.NAME]`
    name: String,
    folder: Arc<Folder>,
    model: OnceCell<Arc<Model>>,
    /// One permit for each thread that computes.
    cores: Arc<Semaphore>,
}

/// What was loaded.
struct Model {
    texts: Texts,
    encoder: Encoder,
    head: Head,
}

impl Model {
    fn load(folder: &Folder) -> Result<Model, String> {
        let encoder = Encoder::load(&folder.transformer, &folder.shape)?;
        let texts = Texts::load(folder)?;
        if texts.vocabulary() > encoder.vocabulary() {
            return Err(format!(
                "the tokenizer has {} pieces and the model only {}",
                texts.vocabulary(),
                encoder.vocabulary()
            ));
        }
        let head = Head::load(&folder.steps, folder.shape.hidden)?;
        Ok(Model { texts, encoder, head })
    }

    fn vectors(&self, texts: &[Vec<u32>], normalize: bool) -> Vec<Vec<f32>> {
        let hidden = self.encoder.forward(texts);
        let vectors = hidden.iter().map(|hidden| self.head.vector(hidden));
        vectors.map(|vector| if normalize { unit(vector) } else { vector }).collect()
    }
}

impl Sentence {
    pub(crate) fn open(name: &str, config: &Config, base: &Path) -> Result<Sentence, ConfigError> {
        let path = base.join(&config.path);
        let folder = Folder::read(&path).map_err(|why| {
            ConfigError(format!("[providers.{name}] path = {:?}: {why}", config.path))
        })?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Sentence {
            name: name.to_owned(),
            folder: Arc::new(folder),
            model: OnceCell::new(),
            cores: Arc::new(Semaphore::new(cores)),
        })
    }

    async fn embedded(&self, call: &EmbedCall) -> Result<Embedded, ModelError> {
        bounded(&self.name, &call.texts)?;
        let model = self.model().await?;
        if let Some(asked) = call.dimensions.filter(|n| *n as usize != model.head.dimensions()) {
            let has = model.head.dimensions();
            return Err(self.unsupported(&format!(
                "its vectors have {has} numbers, and {asked} were asked for"
            )));
        }
        let (texts, wanted) = (model.clone(), call.clone());
        let pieces = self.compute(move || texts.texts.pieces(&wanted)).await?;
        let pieces = pieces.map_err(|why| {
            ModelError::new(ModelErrorKind::TooLong, format!("{}: {why}", self.name))
        })?;
        let input_tokens = pieces.iter().map(|text| text.len() as u64).sum();
        let groups = grouped(pieces).into_iter().map(|group| {
            let (model, normalize) = (model.clone(), call.normalize);
            self.compute(move || model.vectors(&group, normalize))
        });
        let made = try_join_all(groups).await?;
        let vectors: Vec<Vec<f32>> = made.into_iter().flatten().collect();
        match vectors.iter().flatten().all(|number| number.is_finite()) {
            true => Ok(Embedded { vectors, input_tokens }),
            // JSON has no such numbers, and a search among them finds anything.
            false => Err(self.damaged("its weights make vectors that are no numbers")),
        }
    }

    /// Loaded once; a failure is told and tried again by the next call.
    async fn model(&self) -> Result<Arc<Model>, ModelError> {
        let load = || async {
            let folder = self.folder.clone();
            let loaded = self.compute(move || Model::load(&folder)).await?;
            loaded.map(Arc::new).map_err(|why| self.damaged(&why))
        };
        self.model.get_or_try_init(load).await.cloned()
    }

    /// The permit goes with the work: a client that leaves does not end it. Should the tokenizer or
    /// the matrices panic over what a file holds, the call fails and nothing else.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ModelError> {
        let permit = self.cores.clone().acquire_owned().await.expect("nobody closes it");
        let computed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        computed.await.map_err(|error| self.damaged(&format!("it cannot be computed: {error}")))
    }

    fn damaged(&self, why: &str) -> ModelError {
        let place = self.folder.transformer.display();
        ModelError::refused(format!("{}: the model in {place}: {why}", self.name))
    }

    fn unsupported(&self, why: &str) -> ModelError {
        ModelError::new(ModelErrorKind::Unsupported, format!("{}: {why}", self.name))
    }
}

/// In order, as many texts together as may go through the model at once.
fn grouped(texts: Vec<Vec<u32>>) -> Vec<Vec<Vec<u32>>> {
    let mut groups: Vec<Vec<Vec<u32>>> = Vec::new();
    let mut tokens = TOKENS_AT_ONCE;
    for text in texts {
        tokens += text.len();
        if tokens > TOKENS_AT_ONCE {
            tokens = text.len();
            groups.push(Vec::new());
        }
        groups.last_mut().expect("the first text begins a group").push(text);
    }
    groups
}

impl Provider for Sentence {
    fn name(&self) -> &str {
        "sentence-transformer"
    }

    fn embed<'a>(&'a self, call: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        Box::pin(self.embedded(call))
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        let why = format!("{:?} makes embeddings and answers nothing", call.model);
        Box::pin(std::future::ready(Err(self.unsupported(&why))))
    }
}

#[cfg(test)]
mod tests;
