//! The models that a step of an agent may be answered by, and what one call comes to with them.
//!
//! It resolves names and reads prices; it asks no model.

use craton_core::agent::config::AgentConfig;
use craton_core::agent::event::Purpose;
use craton_core::agent::turn::Agent;
use craton_core::cost::ModelPrice;
use craton_core::route::{Class, StepKind, Target, Task};
use serde_json::Value as Json;

use super::work::Work;
use crate::model::{Named, retry};
use crate::{Inner, limits};

/// A model that may answer a step.
pub(super) struct Offer<'a> {
    price: Option<&'a ModelPrice>,
    /// Tokens that it reads in one call at most.
    reads: u64,
    /// Requests of one attempt: a hedge is a second.
    requests: u64,
    /// What its own settings let it say beyond a call's cap.
    says_more: u64,
    /// One request, and what may come before it.
    millis: u64,
    /// It answers in this process.
    pub(super) here: bool,
}

/// What a call reads and says at most.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) bytes: u64,
    pub(super) says: u64,
}

pub(super) struct Offers<'a> {
    /// The likeliest is the first.
    pub(super) all: Vec<Offer<'a>>,
    /// How often the last of them is asked.
    attempts: u64,
}

impl<'a> Offers<'a> {
    pub(super) fn of(
        inner: &'a Inner,
        named: &Named,
        (agent, purpose): (&Agent, Purpose),
        question: &str,
    ) -> Offers<'a> {
        Offers::among(inner, &ids(inner, named, (agent, purpose), question))
    }

    /// Of a client's own call; an id that is routed may lead to any model of the table.
    pub(super) fn direct(inner: &'a Inner, id: &str) -> Offers<'a> {
        let table = &inner.gateway.table;
        let fits = |pattern: &String| llm::matches(pattern.as_bytes(), id.as_bytes());
        let mut ids = match inner.gateway.on && table.direct.iter().any(fits) {
            true => table.names().map(|(_, id)| id.to_owned()).collect(),
            false => vec![id.to_owned()],
        };
        let rules = ids.iter().filter_map(|id| inner.models.resolve(id).ok()?.rule);
        let stand_ins: Vec<String> = rules.flat_map(|(_, rule)| rule.fallback.clone()).collect();
        ids.extend(stand_ins);
        Offers::among(inner, &ids)
    }

    fn among(inner: &'a Inner, ids: &[String]) -> Offers<'a> {
        let all = ids.iter().map(|id| Offer::of(inner, id)).collect();
        Offers { all, attempts: u64::from(inner.gateway.doors.rates.retry.attempts.max(1)) }
    }

    /// The most that one call comes to: each model is asked once, the last of them as often as calls
    /// are repeated, and all of it may be billed.
    pub(super) fn most(&self, size: Size) -> Work {
        let each = self.all.iter().map(|offer| offer.most(size));
        let once = each.clone().fold(Work::NONE, Work::and);
        let again = each.fold(Work::NONE, Work::max).times(self.attempts - 1);
        once.and(again)
    }

    /// The least: one token of an answer, all that is read from a cache, by the cheapest.
    pub(super) fn least(&self, bytes: u64) -> Work {
        let tokens = bytes / limits::LONG_TOKEN_BYTES + 1;
        let prices = self.all.iter().filter_map(|offer| offer.price);
        let cost = prices.map(|price| {
            let read = price.cache_read.min(price.input);
            read.times(tokens) + price.output
        });
        Work { tokens: tokens + 1, models: cost.min(), ..Work::NONE }
    }

    /// One call of the model that is asked first.
    pub(super) fn likely(&self, input: u64, output: u64) -> Work {
        let Some(offer) = self.all.first() else { return Work::NONE };
        let spoken = limits::FIRST_TOKEN_MILLIS + output * 1_000 / limits::TOKENS_PER_SECOND;
        let input_tokens = input.min(offer.reads);
        let usage = wire::converse::Usage {
            input_tokens,
            output_tokens: output,
            ..wire::converse::Usage::default()
        };
        Work {
            tokens: input_tokens + output,
            models: offer.price.map(|price| price.cost(&usage)),
            millis: if offer.here { 0 } else { spoken },
            ..Work::NONE
        }
    }
}

impl<'a> Offer<'a> {
    fn of(inner: &'a Inner, id: &str) -> Offer<'a> {
        let resolved = inner.models.resolve(id).ok();
        let own = resolved.as_ref().and_then(|to| inner.price((&to.provider_name, &to.model)));
        let rule = resolved.as_ref().and_then(|to| to.rule.as_ref()).map(|(_, rule)| rule);
        let window = resolved.as_ref().and_then(|to| to.context_tokens).map(u64::from);
        let provider = rule.map_or("", |rule| &rule.provider);
        let rates = &inner.gateway.doors.rates;
        let waits = rates.wait_seconds * 2.0 + rates.retry.max_seconds;
        let before = retry::LONGEST_RETRY_AFTER.as_secs_f64() + waits;
        let request = inner.models.common(provider).timeout();
        Offer {
            price: own.or_else(|| inner.prices.model(id)),
            reads: window.unwrap_or(limits::READ_TOKENS),
            requests: 1 + u64::from(rule.is_some_and(|rule| rule.hedge_after_ms.is_some())),
            says_more: rule.map_or(0, |rule| {
                rule.request_fields.iter().map(|(name, value)| tokens_set(name, value)).sum()
            }),
            millis: millis(request.as_secs_f64() + before),
            here: rule.is_none(),
        }
    }

    fn most(&self, size: Size) -> Work {
        let (read, says) = (size.bytes.min(self.reads), size.says + self.says_more);
        let one = Work {
            tokens: read + says,
            models: self.price.map(|price| price.at_most(read, says)),
            ..Work::NONE
        };
        Work { millis: self.millis, ..one.times(self.requests) }
    }
}

pub(super) fn millis(seconds: f64) -> u64 {
    (seconds * 1_000.0).ceil() as u64
}

/// What native members of a request set for tokens, at any depth: a budget for thinking is on top of
/// the cap that Converse knows.
pub(super) fn tokens_set(name: &str, value: &Json) -> u64 {
    match value {
        Json::Object(members) => members.iter().map(|(name, value)| tokens_set(name, value)).sum(),
        value if name.to_ascii_lowercase().contains("token") => value.as_u64().unwrap_or(0),
        _ => 0,
    }
}

/// Who may be asked, the likeliest first, each once: as routes are chosen where nothing but the
/// agent's tags wishes for anything.
fn ids(
    inner: &Inner,
    named: &Named,
    (agent, purpose): (&Agent, Purpose),
    question: &str,
) -> Vec<String> {
    let config = &agent.config;
    let stage = agent.stage(purpose.stage());
    let own = stage.and_then(|stage| stage.model.as_deref()).unwrap_or(&config.model);
    let mut ids = chosen(inner, (config, purpose.kind()), own, (agent, question));
    if let Some(router) = named.router(own) {
        ids.extend(std::iter::once(&router.fallback).chain(&router.models).cloned());
    }
    let table = &inner.gateway.table;
    let fits = |pattern: &str, id: &str| llm::matches(pattern.as_bytes(), id.as_bytes());
    for split in table.split.iter().filter(|_| inner.gateway.on) {
        if ids.iter().any(|id| fits(&split.pattern, id)) {
            ids.extend(split.models.keys().cloned());
        }
    }
    let mut found: Vec<String> = Vec::new();
    let mut add = |id: &str| {
        if !found.iter().any(|known| known == id) {
            found.push(id.to_owned());
        }
    };
    ids.iter().for_each(|id| add(named.model(id)));
    for id in &ids {
        let rule = inner.models.resolve(named.model(id)).ok().and_then(|to| to.rule);
        rule.iter().flat_map(|(_, rule)| &rule.fallback).for_each(|id| add(id));
    }
    let local = |id: &String| inner.models.resolve(id).is_ok_and(|to| to.local);
    if agent.restricted && found.iter().any(local) {
        found.retain(local);
    }
    found
}

/// What tags and the table choose from.
fn chosen(
    inner: &Inner,
    (config, kind): (&AgentConfig, StepKind),
    own: &str,
    (agent, question): (&Agent, &str),
) -> Vec<String> {
    let (table, wishes) = (&inner.gateway.table, &config.wishes);
    let fast = wishes.latency_millis.map(|millis| millis as f64 / 1000.0);
    let target = match wishes.target(kind) {
        _ if fast.is_some_and(|seconds| seconds <= table.fast_seconds) => {
            Target::Class(Class::Small)
        }
        Some(wished) => wished.clone(),
        None if inner.gateway.on => table.target(kind),
        None => Target::Own,
    };
    let of_class = |class| table.models(class).map(|(_, ids)| ids.to_vec()).unwrap_or_default();
    let by_index = target == Target::Rci;
    let mut ids = match target {
        Target::Own => Vec::new(),
        Target::Model(id) => vec![id],
        Target::Class(class) => of_class(class),
        Target::Rci => {
            let task = Task {
                instruction: vec![&config.instruction],
                question: vec![question],
                tools: &agent.model_tools,
                forced: false,
                taken: 0,
            };
            let likely = table.class(task.inputs().rci());
            let classes = [likely, Class::Small, Class::Medium, Class::Large];
            classes.into_iter().flat_map(of_class).collect()
        }
    };
    // A class without models leaves what was asked for, and the index may name any.
    let full =
        [Class::Small, Class::Medium, Class::Large].iter().all(|c| table.models(*c).is_some());
    if ids.is_empty() || (by_index && !full) {
        ids.push(own.to_owned());
    }
    ids
}
