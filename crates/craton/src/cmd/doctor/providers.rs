//! Asks each provider for a word by the way that turns go, and finds lines of `[[models]]` that no
//! id ever comes to.

use std::time::Duration;

use futures_util::StreamExt as _;
use llm::{EmbedCall, ModelError, ModelErrorKind, ModelRule, Models, Resolved, is_embedded};
use wire::converse::{Block, CachePoints, Call, Inference, Message, Role, ToolChoice};

use super::Finding;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(5);
/// Stands in for the ids that a pattern is open for.
const ANY_ID: &str = "anthropic.claude-3-5-sonnet-20240620-v1:0";

pub(super) async fn examine(config: &Config, dev: bool, findings: &mut Vec<Finding>) {
    let models = config.models(dev);
    let (names, rules) = (config.provider_names(), models.models.clone());
    let open = match Models::open(models, net::Client::new(net::Config::default())) {
        Ok(open) => open,
        Err(why) => {
            findings.push(Finding::fail("models", why.to_string(), "see docs/models.md"));
            return;
        }
    };
    if names.is_empty() {
        findings.push(without_providers(dev));
    }
    let asked = names.iter().map(|name| ask(name, &rules, &open));
    findings.extend(futures_util::future::join_all(asked).await);
    findings.extend(rules.iter().enumerate().filter_map(|(at, rule)| shadowed(at, rule, &open)));
}

fn without_providers(dev: bool) -> Finding {
    let fix = "add [providers.NAME] and [[models]] to craton.toml (docs/models.md)";
    match dev {
        true => Finding::warn("models", "craton.rules answers, which is no language model", fix),
        false => Finding::fail(
            "models",
            "there is no provider, and outside of dev mode none by default",
            fix,
        ),
    }
}

/// A rule that leads to the provider, as an id that takes it there.
struct Way {
    resolved: Resolved,
    /// The model's name is the configuration's own, not made up from a pattern.
    certain: bool,
}

fn way(name: &str, rules: &[ModelRule], open: &Models) -> Option<Way> {
    let ways = rules.iter().filter(|rule| rule.provider == name).flat_map(|rule| {
        ids(&rule.pattern).into_iter().filter_map(move |id| {
            let resolved = open.resolve(&id).ok()?;
            let wanted = rule.model.replace("{id}", &id);
            let certain = !rule.model.contains("{id}") || !rule.pattern.contains(['*', '?']);
            (resolved.model == wanted).then_some(Way { resolved, certain })
        })
    });
    let mut ways: Vec<Way> = ways.collect();
    let best = ways.iter().position(|way| way.certain).unwrap_or(0);
    (best < ways.len()).then(|| ways.swap_remove(best))
}

/// Some ids that a pattern is meant for.
fn ids(pattern: &str) -> Vec<String> {
    let mut ids = vec![];
    ids.extend((pattern == "*").then(|| ANY_ID.to_owned()));
    ids.push(pattern.replace(['*', '?'], "x"));
    ids.push(pattern.replace('*', "").replace('?', "1"));
    ids.dedup();
    ids
}

async fn ask(name: &str, rules: &[ModelRule], open: &Models) -> Finding {
    let what = format!("provider {name}");
    let Some(way) = way(name, rules, open) else {
        let fix = format!("add [[models]] with provider = {name:?}, or remove [providers.{name}]");
        return Finding::warn(what, "no line of [[models]] leads to it, so it was not tried", fix);
    };
    let model = way.resolved.model.clone();
    let Ok(said) = tokio::time::timeout(PATIENCE, speak(way.resolved)).await else {
        let says = format!("gave no answer as {model} within {} s", PATIENCE.as_secs());
        let fix = "see whether it is up; a local model may still be loading, then try again";
        return Finding::fail(what, says, fix);
    };
    let Err(error) = said else { return Finding::ok(what, format!("answers as {model}")) };
    let fix = match error.kind {
        ModelErrorKind::Refused => {
            "export its key, or correct its base_url or model in craton.toml"
        }
        ModelErrorKind::Throttled => "it is there and has too much to do; try again later",
        ModelErrorKind::Unavailable | ModelErrorKind::TimedOut => {
            "start it, or correct its base_url in craton.toml"
        }
        ModelErrorKind::Malformed => "see whether kind and base_url in craton.toml fit it",
        ModelErrorKind::TooLong => "give its model a larger context; it did not take one question",
        ModelErrorKind::Unsupported => "it does not take plain text; name another model",
        ModelErrorKind::OverBudget => "raise the budget in craton.toml",
        ModelErrorKind::NotMapped => "add a line to [[models]]",
    };
    let guessed = !way.certain && is_about_model(&error);
    match guessed || error.kind == ModelErrorKind::Throttled {
        true => Finding::warn(what, error.message, fix),
        false => Finding::fail(what, error.message, fix),
    }
}

/// The provider was asked and would not answer, and not for the key's sake: where the model's name
/// was made up, that says little.
fn is_about_model(error: &ModelError) -> bool {
    let about_key = |status| matches!(status, 401 | 403);
    error.kind == ModelErrorKind::Refused && error.status.is_some_and(|status| !about_key(status))
}

async fn speak(resolved: Resolved) -> Result<(), ModelError> {
    let mut call = Call {
        model: resolved.model.clone(),
        system: vec![],
        messages: vec![Message {
            role: Role::User,
            content: vec![Block::Text("Say yes.".to_owned())],
        }],
        tools: std::sync::Arc::new([]),
        tool_choice: ToolChoice::default(),
        // A limit would have to leave room for thinking that the map asks for.
        inference: Inference::default(),
        cache: CachePoints::default(),
        additional: serde_json::Value::Null,
        options: wire::converse::Options::default(),
        stream: true,
    };
    // Its first word will do; it stops when nobody reads on.
    let spoken = match resolved.converse(&mut call).await {
        Ok(mut deltas) => deltas.next().await.map_or(Ok(()), |delta| delta.map(drop)),
        Err(error) => Err(error),
    };
    match spoken {
        // A model of embeddings does not speak; whoever makes neither words nor vectors says why.
        Err(error) if embeds(&resolved, &error).await => Ok(()),
        spoken => spoken,
    }
}

async fn embeds(resolved: &Resolved, refusal: &ModelError) -> bool {
    if !matches!(refusal.kind, ModelErrorKind::Refused | ModelErrorKind::Unsupported) {
        return false;
    }
    let texts = vec!["yes".to_owned()];
    let call = EmbedCall { model: resolved.model.clone(), texts, ..EmbedCall::default() };
    resolved.provider.embed(&call).await.is_ok()
}

/// A line that says something else than what its own ids get.
fn shadowed(at: usize, rule: &ModelRule, open: &Models) -> Option<Finding> {
    let comes_to_it = |id: &String| {
        let Ok(resolved) = open.resolve(id) else { return false };
        let provider =
            resolved.provider_name == rule.provider || is_embedded(&resolved.provider_name);
        provider && resolved.model == rule.model.replace("{id}", id)
    };
    if ids(&rule.pattern).iter().any(comes_to_it) {
        return None;
    }
    let what = format!("[[models]] match = {:?}", rule.pattern);
    let says =
        format!("no id comes to it: an earlier line than this, number {}, has them all", at + 1);
    Some(Finding::warn(what, says, "move it up, or remove it: the first line that matches wins"))
}
