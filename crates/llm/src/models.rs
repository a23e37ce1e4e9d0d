//! The model map: which provider answers for a model id, and under what name it knows the model.
//!
//! ```toml
//! [providers.local]
//! kind = "openai"
//! base_url = "http://127.0.0.1:11434/v1"
//!
//! [[models]]
//! match = "anthropic.claude-*"
//! provider = "local"
//! model = "qwen3:8b"
//! ```
//!
//! The first rule that matches wins. Nothing is guessed: an id without a rule is an error that shows
//! the lines to add, except where the embedded `craton.rules` was named as the default.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use wire::converse::Call;

use crate::anthropic::{self, Anthropic};
use crate::bedrock::{self, Bedrock};
use crate::cache::CacheMode;
use crate::ceiling;
use crate::embed::hashing::{Hashing, HashingConfig};
use crate::embedded::{
    CLUMSY, CLUMSY_MODEL, Clumsy, ClumsyConfig, HASH_MODEL, HASHING, RULES, RULES_MODEL, Rules,
    is_embedded,
};
use crate::gemini::{self, Gemini};
use crate::limits::{CALL_TIMEOUT, IDLE_TIMEOUT};
use crate::measure::{self, Input};
use crate::openai::{self, OpenAi};
use crate::provider::{Deltas, ModelError, ModelErrorKind, Provider};
use crate::responses::{self, Responses};
use crate::scripted::Scripted;
use crate::sentence::{self, Sentence};

/// `[providers.*]` and `[[models]]` of `craton.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub providers: BTreeMap<String, ProviderEntry>,
    #[serde(default)]
    pub models: Vec<ModelRule>,
    /// Unmatched ids go to `craton.rules`, and those of embeddings to `craton.hash`, if no provider
    /// is configured; for development.
    #[serde(skip)]
    pub rules_by_default: bool,
    /// What relative file names start from: the directory of `craton.toml`.
    #[serde(skip)]
    pub base_dir: PathBuf,
}

/// One `[providers.NAME]`: what its kind has, and what every provider has.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "serde_json::Map<String, Json>")]
pub struct ProviderEntry {
    pub kind: ProviderConfig,
    pub common: Common,
}

/// What every `[providers.NAME]` may say.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Common {
    /// Nothing that is asked here leaves the operator's own machines; restricted data may come here.
    pub local: bool,
    /// Calls under way at once.
    pub concurrency: Option<u32>,
    pub requests_per_minute: Option<u32>,
    /// Input and output together.
    pub tokens_per_minute: Option<u64>,
    /// Until a server begins to answer; as long as the whole call if left out.
    pub first_byte_timeout_seconds: Option<u64>,
    /// Between two pieces of an answer; 300 if left out.
    pub idle_timeout_seconds: Option<u64>,
    /// Whether the beginning of a prompt is marked for the provider's cache where a client marks
    /// none.
    pub cache: CacheMode,
    /// The kind's own `timeout_seconds`, for whoever foresees how long a call may take.
    #[serde(skip)]
    timeout_seconds: Option<u64>,
}

impl Common {
    /// How long one request takes at most, from its sending to the end of its answer.
    pub fn timeout(&self) -> Duration {
        self.timeout_seconds.map_or(CALL_TIMEOUT, Duration::from_secs)
    }

    fn patience(&self) -> net::Patience {
        net::Patience {
            head: self.first_byte_timeout_seconds.map(Duration::from_secs),
            idle: Some(self.idle_timeout_seconds.map_or(IDLE_TIMEOUT, Duration::from_secs)),
        }
    }
}

/// The names of [`Common`]'s keys, which are taken out before a kind reads the rest.
const COMMON: [&str; 7] = [
    "local",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "first_byte_timeout_seconds",
    "idle_timeout_seconds",
    "cache",
];

impl TryFrom<serde_json::Map<String, Json>> for ProviderEntry {
    type Error = serde_json::Error;

    fn try_from(mut own: serde_json::Map<String, Json>) -> Result<Self, Self::Error> {
        let common = COMMON.iter().filter_map(|key| own.remove_entry(*key)).collect();
        let common: Common = serde_json::from_value(Json::Object(common))?;
        let timeout_seconds = own.get("timeout_seconds").and_then(Json::as_u64);
        let common = Common { timeout_seconds, ..common };
        Ok(ProviderEntry { kind: serde_json::from_value(Json::Object(own))?, common })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ProviderConfig {
    /// Anything that speaks OpenAI's chat completions.
    OpenAi(openai::Config),
    /// OpenAI's Responses API, or a server that speaks it.
    Responses(responses::Config),
    /// Anthropic's Messages API, or a server that speaks it.
    Anthropic(anthropic::Config),
    /// Google's Gemini API.
    Gemini(gemini::Config),
    /// Amazon Bedrock, or another server that speaks Converse.
    Bedrock(bedrock::Config),
    /// Answers from a file.
    Scripted(ScriptedConfig),
    /// The embedded `craton.rules`, under a name of its own.
    Rules(RulesConfig),
    /// The embedded `craton.clumsy`, under a name of its own.
    Clumsy(ClumsyConfig),
    /// A directory with a sentence-transformer, for embeddings.
    #[serde(rename = "sentence-transformer")]
    Sentence(sentence::Config),
    /// The embedded `craton.hash`, under a name of its own, for embeddings.
    Hashing(HashingConfig),
}

impl ProviderConfig {
    /// Whether it answers in this process, and so is local without being called so.
    fn is_here(&self) -> bool {
        match self {
            ProviderConfig::OpenAi(_)
            | ProviderConfig::Responses(_)
            | ProviderConfig::Anthropic(_)
            | ProviderConfig::Gemini(_)
            | ProviderConfig::Bedrock(_) => false,
            ProviderConfig::Scripted(_)
            | ProviderConfig::Rules(_)
            | ProviderConfig::Clumsy(_)
            | ProviderConfig::Sentence(_)
            | ProviderConfig::Hashing(_) => true,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedConfig {
    /// The script, YAML or JSON, relative to `craton.toml`.
    pub file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesConfig {}

/// One `[[models]]` entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRule {
    /// A model id in which `*` stands for any text and `?` for one character. An ARN is also matched
    /// by the name at its end, and a cross-region id also without its region.
    #[serde(rename = "match")]
    pub pattern: String,
    /// A name under `[providers]`, or `rules` or `clumsy`.
    pub provider: String,
    /// The provider's own name of the model; `{id}`, the default, is the id that was asked for.
    #[serde(default = "asked_for")]
    pub model: String,
    /// Members of the provider's native request, beneath the `additionalModelRequestFields` of a
    /// call. Agents have no others.
    #[serde(default)]
    pub request_fields: serde_json::Map<String, Json>,
    /// How many tokens the model reads. An agent leaves out what does not fit before it asks.
    #[serde(default)]
    pub context_tokens: Option<u32>,
    /// `large`, `medium`, `small` or `cheapest`, for routing.
    #[serde(default)]
    pub class: Option<String>,
    /// Model ids that are asked in this order when this model does not answer.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// After so long without the beginning of an answer the same is asked a second time; the first
    /// answer counts.
    #[serde(default)]
    pub hedge_after_ms: Option<u64>,
    /// `false` at a local provider: this model of it is not.
    #[serde(default)]
    pub local: Option<bool>,
    /// Calls under way at once.
    #[serde(default)]
    pub concurrency: Option<u32>,
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// Input and output together.
    #[serde(default)]
    pub tokens_per_minute: Option<u64>,
}

fn asked_for() -> String {
    "{id}".to_owned()
}

/// A mistake in the configuration; the message names the place and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0} (CR0008)")]
pub struct ConfigError(pub(crate) String);

/// The open model map. Cheap to clone.
#[derive(Clone)]
pub struct Models(Arc<Map>);

struct Map {
    providers: BTreeMap<String, Arc<dyn Provider>>,
    commons: BTreeMap<String, Common>,
    rules: Vec<Arc<ModelRule>>,
    rules_by_default: bool,
    /// A configured provider's name, for the line that an unmapped id's error shows.
    example: Option<String>,
}

impl Models {
    #[expect(clippy::needless_pass_by_value, reason = "the map keeps a handle of its own")]
    pub fn open(config: Config, client: net::Client) -> Result<Models, ConfigError> {
        let example = config.providers.keys().next().cloned();
        let rules_by_default = config.rules_by_default && config.providers.is_empty();
        let mut providers: BTreeMap<String, Arc<dyn Provider>> = BTreeMap::new();
        providers.insert(RULES.to_owned(), Arc::new(Rules));
        providers.insert(CLUMSY.to_owned(), Arc::new(Clumsy::new(None)));
        providers
            .insert(HASHING.to_owned(), Arc::new(hashing(HASHING, &HashingConfig::default())?));
        let mut commons = BTreeMap::new();
        for (name, entry) in config.providers {
            let client = client.with_patience(entry.common.patience());
            let open = Opening { name: &name, cache: entry.common.cache, client };
            let local = entry.common.local || entry.kind.is_here();
            let provider = open_provider(open, entry.kind, &config.base_dir)?;
            commons.insert(name.clone(), Common { local, ..entry.common });
            // INVARIANT: under an embedded provider's name nobody else ever answers.
            if is_embedded(&name) && provider.name() != name {
                return Err(ConfigError(format!(
                    "[providers.{name}]: that name is the embedded provider's; choose another"
                )));
            }
            providers.insert(name, provider);
        }
        for rule in &config.models {
            known(rule, &providers)?;
            sound(rule, &commons)?;
        }
        let rules = config.models.into_iter().map(Arc::new).collect();
        let map = Map { providers, commons, rules, rules_by_default, example };
        Ok(Models(Arc::new(map)))
    }

    /// A map in which `provider` answers for every id, under the id that was asked for.
    pub fn single(provider: Arc<dyn Provider>) -> Models {
        let name = provider.name().to_owned();
        let rule = ModelRule {
            pattern: "*".to_owned(),
            provider: name.clone(),
            model: asked_for(),
            request_fields: serde_json::Map::new(),
            context_tokens: None,
            class: None,
            fallback: Vec::new(),
            hedge_after_ms: None,
            local: None,
            concurrency: None,
            requests_per_minute: None,
            tokens_per_minute: None,
        };
        Models::of([(name, Common::default(), provider)], vec![rule])
    }

    /// A map of these providers and rules.
    pub fn of(
        all: impl IntoIterator<Item = (String, Common, Arc<dyn Provider>)>,
        rules: Vec<ModelRule>,
    ) -> Models {
        let (mut providers, mut commons) = (BTreeMap::new(), BTreeMap::new());
        for (name, common, provider) in all {
            commons.insert(name.clone(), common);
            providers.insert(name, provider);
        }
        let rules = rules.into_iter().map(Arc::new).collect();
        let (rules_by_default, example) = (false, None);
        Models(Arc::new(Map { providers, commons, rules, rules_by_default, example }))
    }

    /// Who answers for `model_id`: a Bedrock model id, ARN or inference profile.
    pub fn resolve(&self, model_id: &str) -> Result<Resolved, ModelError> {
        let names = names(model_id);
        // A pattern for everything means no model of Craton's own, which must be asked for by name.
        let own = names.iter().any(|name| name.starts_with(OWN));
        let allowed = |rule: &ModelRule| !own || rule.pattern.starts_with(OWN);
        let found = self.0.rules.iter().enumerate().find(|(_, rule)| {
            let fits = |name: &&str| matches(rule.pattern.as_bytes(), name.as_bytes());
            allowed(rule) && names.iter().any(fits)
        });
        match found {
            Some((at, rule)) => {
                let model = rule.model.replace("{id}", model_id);
                let found = self.resolved(&rule.provider, model)?;
                let local = found.local && rule.local.unwrap_or(true);
                let context_tokens = rule.context_tokens;
                Ok(Resolved { rule: Some((at, rule.clone())), context_tokens, local, ..found })
            }
            None => self.without_rule(model_id, &names),
        }
    }

    /// What a call can use: its input with the map's native fields, and the output that it asks for,
    /// in Converse's words or in those of whoever answers, else `default`.
    pub fn size(&self, call: &Call, default: u32) -> Size {
        let input = measure::input(call);
        let rule = self.resolve(&call.model).ok().and_then(|resolved| resolved.rule);
        match rule {
            Some((_, rule)) if !rule.request_fields.is_empty() => {
                let fields = beneath(&rule.request_fields, &call.additional);
                let more = fields.to_string().len() as u64;
                let output = ceiling::asked(call, &fields, default);
                Size { input: Input { most: input.most.saturating_add(more), ..input }, output }
            }
            _ => Size { input, output: ceiling::asked(call, &call.additional, default) },
        }
    }

    fn without_rule(&self, id: &str, names: &[&str]) -> Result<Resolved, ModelError> {
        if let Some(name) = names.iter().find(|name| name.starts_with(CLUMSY_MODEL)) {
            return self.resolved(CLUMSY, clumsy_model(name)?);
        }
        if let Some(name) = names.iter().find(|name| is_hash_model(name)) {
            return self.resolved(HASHING, (*name).to_owned());
        }
        if names.contains(&RULES_MODEL) {
            return self.resolved(RULES, RULES_MODEL.to_owned());
        }
        if !self.0.rules_by_default {
            return Err(self.not_mapped(id));
        }
        let stands_in = names.iter().find_map(|name| hashing_for(name));
        let (provider, model) = stands_in.map_or((RULES, RULES_MODEL), |model| (HASHING, model));
        self.resolved(provider, model.to_owned())
    }

    /// The ids that rules are for by name, which no `*` or `?` leaves open.
    pub fn named(&self) -> Vec<String> {
        let patterns = self.0.rules.iter().map(|rule| &rule.pattern);
        patterns.filter(|pattern| !pattern.contains(['*', '?'])).cloned().collect()
    }

    /// What the configuration says of a provider besides its kind. The embedded ones are local.
    pub fn common(&self, provider: &str) -> Common {
        let own = || Common { local: is_embedded(provider), ..Common::default() };
        self.0.commons.get(provider).cloned().unwrap_or_else(own)
    }

    /// The ids that routing knows by their class, in the order of the map.
    pub fn classes(&self) -> impl Iterator<Item = (&str, &str)> {
        let rules = self.0.rules.iter();
        rules.filter_map(|rule| Some((rule.class.as_deref()?, rule.pattern.as_str())))
    }

    pub fn rules(&self) -> &[Arc<ModelRule>] {
        &self.0.rules
    }

    /// Whether any rule says how much its model reads.
    pub fn any_window(&self) -> bool {
        self.0.rules.iter().any(|rule| rule.context_tokens.is_some())
    }

    /// How many tokens the model of this id reads, if its rule says so.
    pub fn window(&self, model_id: &str) -> Option<usize> {
        self.resolve(model_id).ok()?.context_tokens.map(|tokens| tokens as usize)
    }

    fn resolved(&self, name: &str, model: String) -> Result<Resolved, ModelError> {
        match self.0.providers.get(name) {
            Some(provider) => Ok(Resolved {
                provider: Arc::clone(provider),
                provider_name: shown(provider.as_ref(), name),
                local: self.common(name).local,
                model,
                rule: None,
                context_tokens: None,
            }),
            None => Err(self.not_mapped(&model)),
        }
    }

    fn not_mapped(&self, id: &str) -> ModelError {
        let mut message = format!("no provider is mapped to model {id:?}");
        let mapped: Vec<_> = self.0.rules.iter().take(SHOWN).map(|rule| &rule.pattern).collect();
        if !mapped.is_empty() {
            message.push_str(&format!(", only to {mapped:?}"));
        }
        message.push_str("; add to craton.toml:\n");
        if self.0.example.is_none() {
            message.push_str(EXAMPLE_PROVIDER);
        }
        let provider = self.0.example.as_deref().unwrap_or("local");
        message.push_str(&format!(
            "[[models]]\nmatch = {id:?}\nprovider = {provider:?}\nmodel = \"NAME OF THE MODEL THERE\""
        ));
        ModelError::new(ModelErrorKind::NotMapped, message)
    }
}

/// Patterns of the map that a message shows, in which a misspelt id is seen at once.
const SHOWN: usize = 5;

const EXAMPLE_PROVIDER: &str =
    "[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:11434/v1\"\n";

/// A model of `craton.clumsy` has a number for its seed.
fn clumsy_model(id: &str) -> Result<String, ModelError> {
    let seed = id.strip_prefix(CLUMSY_MODEL).and_then(|rest| rest.strip_prefix(':'));
    match seed.filter(|seed| seed.parse::<u64>().is_ok()) {
        Some(_) => Ok(id.to_owned()),
        None => Err(ModelError::new(
            ModelErrorKind::NotMapped,
            format!(
                "{id:?} is no model; {CLUMSY_MODEL} takes a seed, a whole number, as in \"{CLUMSY_MODEL}:7\""
            ),
        )),
    }
}

fn is_hash_model(id: &str) -> bool {
    id.strip_prefix(HASH_MODEL).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// AWS's embedding models in development, with vectors as long as theirs.
/// AWS: Bedrock user guide, "Amazon Titan Embeddings Text", "Cohere Embed v4"; Nova user guide, "Embeddings".
const HASHING_FOR: [(&str, &str); 7] = [
    ("amazon.titan-embed-text-v1", "craton.hash:1536"),
    ("amazon.titan-embed-g1-text", "craton.hash:1536"),
    ("amazon.titan-embed-", HASH_MODEL),
    ("cohere.embed-v4", "craton.hash:1536"),
    ("cohere.embed-", HASH_MODEL),
    ("amazon.nova-2-multimodal-embeddings", "craton.hash:3072"),
    ("amazon.nova-multimodal-embeddings", "craton.hash:3072"),
];

fn hashing_for(id: &str) -> Option<&'static str> {
    HASHING_FOR.iter().find(|(start, _)| id.starts_with(start)).map(|(_, model)| *model)
}

fn hashing(name: &str, config: &HashingConfig) -> Result<Hashing, ConfigError> {
    Hashing::open(config).map_err(|why| ConfigError(format!("[providers.{name}] {why}")))
}

/// The name in headers, traces and logs: the configuration's, but never one behind which an
/// embedded provider could pass for a language model.
fn shown(provider: &dyn Provider, name: &str) -> String {
    let own = provider.name();
    if is_embedded(own) { own.to_owned() } else { name.to_owned() }
}

/// The tokens that a call can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub input: Input,
    pub output: u32,
}

/// A provider and the name it knows the model by.
#[derive(Clone)]
pub struct Resolved {
    pub provider: Arc<dyn Provider>,
    pub provider_name: String,
    pub model: String,
    /// What matched the id, with its place in the map; nothing for an embedded model.
    pub rule: Option<(usize, Arc<ModelRule>)>,
    /// Whether what is asked of it stays on the operator's own machines.
    pub local: bool,
    /// How many tokens the model reads, if its rule says so.
    pub context_tokens: Option<u32>,
}

impl Resolved {
    /// Sends the call under the provider's own name of the model, which the call has from then on,
    /// as it has the map's native fields that it does not set itself. INVARIANT: what goes out asks for
    /// no more output than the call's ceiling.
    pub async fn converse(&self, call: &mut Call) -> Result<Deltas, ModelError> {
        call.model.clone_from(&self.model);
        let fields = self.rule.as_ref().map(|(_, rule)| &rule.request_fields);
        if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
            call.additional = beneath(fields, &call.additional);
        }
        ceiling::keep(call);
        self.provider.converse(call).await
    }
}

/// What is no object stays, for the provider to refuse.
fn beneath(fields: &serde_json::Map<String, Json>, own: &Json) -> Json {
    let mut merged = fields.clone();
    match own {
        Json::Null => {}
        Json::Object(own) => merged.extend(own.clone()),
        other => return other.clone(),
    }
    Json::Object(merged)
}

/// What every provider is opened with.
struct Opening<'a> {
    name: &'a str,
    cache: CacheMode,
    client: net::Client,
}

fn open_provider(
    open: Opening<'_>,
    config: ProviderConfig,
    base_dir: &std::path::Path,
) -> Result<Arc<dyn Provider>, ConfigError> {
    let Opening { name, cache, client } = open;
    Ok(match config {
        ProviderConfig::OpenAi(config) => Arc::new(OpenAi::open(name, config, cache, client)?),
        ProviderConfig::Responses(config) => {
            Arc::new(Responses::open(name, config, cache, client)?)
        }
        ProviderConfig::Anthropic(config) => {
            Arc::new(Anthropic::open(name, config, cache, client)?)
        }
        ProviderConfig::Gemini(config) => Arc::new(Gemini::open(name, config, client)?),
        ProviderConfig::Bedrock(config) => Arc::new(Bedrock::open(name, config, cache, client)?),
        ProviderConfig::Scripted(config) => Arc::new(Scripted::open(&base_dir.join(config.file))?),
        ProviderConfig::Rules(RulesConfig {}) => Arc::new(Rules),
        ProviderConfig::Clumsy(config) => Arc::new(Clumsy::new(config.seed)),
        ProviderConfig::Sentence(config) => Arc::new(Sentence::open(name, &config, base_dir)?),
        ProviderConfig::Hashing(config) => Arc::new(hashing(name, &config)?),
    })
}

fn known(
    rule: &ModelRule,
    providers: &BTreeMap<String, Arc<dyn Provider>>,
) -> Result<(), ConfigError> {
    if providers.contains_key(&rule.provider) {
        return Ok(());
    }
    let names: Vec<_> = providers.keys().map(String::as_str).collect();
    Err(ConfigError(format!(
        "[[models]] match = {:?}: there is no provider {:?}; add [providers.{}] or use one of: {}",
        rule.pattern,
        rule.provider,
        rule.provider,
        names.join(", ")
    )))
}

/// What of a rule could never act as it reads.
fn sound(rule: &ModelRule, commons: &BTreeMap<String, Common>) -> Result<(), ConfigError> {
    let at = |why: String| ConfigError(format!("[[models]] match = {:?}: {why}", rule.pattern));
    if let Some(class) = &rule.class {
        if !CLASSES.contains(&class.as_str()) {
            return Err(at(format!("class is {class:?}; it is one of {}", CLASSES.join(", "))));
        }
        if rule.pattern.contains(['*', '?']) {
            let why = "a class needs the id of one model; put the id in match, without * and ?";
            return Err(at(why.to_owned()));
        }
    }
    let embedded = is_embedded(&rule.provider);
    let local = commons.get(&rule.provider).map_or(embedded, |common| common.local);
    if rule.local == Some(true) && !local {
        let provider = &rule.provider;
        return Err(at(format!("local is true, and [providers.{provider}] is not; set it there")));
    }
    let zero = [
        ("concurrency", rule.concurrency == Some(0)),
        ("requests_per_minute", rule.requests_per_minute == Some(0)),
        ("tokens_per_minute", rule.tokens_per_minute == Some(0)),
    ];
    match zero.into_iter().find(|(_, zero)| *zero) {
        Some((key, _)) => Err(at(format!("{key} is 0; set 1 or more, or leave it out"))),
        None => Ok(()),
    }
}

/// The classes that a model may be of.
const CLASSES: [&str; 4] = ["large", "medium", "small", "cheapest"];

/// What the ids of embedded models begin with.
const OWN: &str = "craton.";

/// What stands before the model's own id in an inference profile that spans regions.
/// AWS: geographies `us`, `us-gov`, `eu`, `apac`, … and `global` (Bedrock user guide, inference
/// profiles: supported Regions and models).
const GEOGRAPHIES: [&str; 8] = ["us.", "us-gov.", "eu.", "apac.", "global.", "jp.", "au.", "ca."];

/// The names under which a rule may know `id`: itself, the end of its ARN, both without geography.
fn names(id: &str) -> Vec<&str> {
    let mut names = vec![id];
    if id.starts_with("arn:") {
        // AWS: arn:PARTITION:bedrock:REGION:ACCOUNT:KIND/NAME, where NAME may hold colons.
        let resource = id.splitn(6, ':').nth(5).unwrap_or_default();
        names.extend(resource.split_once('/').map(|(_, name)| name));
    }
    let whole = names[names.len() - 1];
    names.extend(GEOGRAPHIES.iter().find_map(|geography| whole.strip_prefix(geography)));
    names
}

/// The model's own id: without ARN, without geography.
pub fn bare_id(id: &str) -> &str {
    names(id).last().copied().unwrap_or(id)
}

/// `*` is any text, `?` one byte. On a mismatch the last star takes one byte more, so the time is
/// bounded by the product of the lengths.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests;
