//! Which model a call goes to: what core decides by, as this process knows it, and the routes of
//! calls that clients make themselves. A turn's routes are decided with its events.

use std::collections::BTreeMap;

use craton_core::agent::turn::spread;
use craton_core::route::{
    self, Class, Known, Question, Route, Router, STEP, StepKind, Table, Task, Wishes,
};
use llm::Models;
use wire::converse::Call;

use super::{Named, Payer, PromptRouter};
use crate::Inner;

/// The table, with the classes that the model map names after its own.
pub(super) fn table(routing: Option<Table>, models: &Models) -> Table {
    let mut table = routing.unwrap_or_default();
    for (word, id) in models.classes() {
        let class = Class::ALL.into_iter().find(|class| class.word() == word);
        let known = class.map(|class| table.classes.entry(class).or_default());
        if let Some(known) = known.filter(|known| !known.iter().any(|model| model == id)) {
            known.push(id.to_owned());
        }
    }
    table
}

/// What routes are chosen by, for data of a class, with what clients made of the models named.
pub(crate) struct Chooser<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) restricted: bool,
    pub(crate) named: &'a Named,
}

impl Chooser<'_> {
    /// Calls `f` with what it knows.
    pub(crate) fn with_known<T>(&self, f: impl FnOnce(Known<'_>) -> T) -> T {
        let Chooser { inner, restricted, named } = *self;
        let is_local = |id: &str| inner.models.resolve(id).is_ok_and(|resolved| resolved.local);
        let local = |id: &str| match named.router(id) {
            Some(router) => router.models.iter().chain([&router.fallback]).any(|id| is_local(id)),
            None => is_local(named.model(id)),
        };
        let fallbacks = |id: &str| {
            let rule = inner.models.resolve(named.model(id)).ok().and_then(|found| found.rule);
            rule.map(|(_, rule)| rule.fallback.clone()).unwrap_or_default()
        };
        let fits = |pattern: &str, id: &str| llm::matches(pattern.as_bytes(), id.as_bytes());
        let draw = || inner.ids.draw();
        f(Known {
            table: &inner.gateway.table,
            on: inner.gateway.on,
            restricted,
            local: &local,
            fallbacks: &fallbacks,
            router: &|id| named.router(id).map(among),
            fits: &fits,
            draw: &draw,
        })
    }
}

fn among(router: &PromptRouter) -> Router {
    Router {
        models: router.models.clone(),
        fallback: router.fallback.clone(),
        quality_difference: router.response_quality_difference,
    }
}

/// The route of a client's own call. What it names is asked, unless the client wishes otherwise, or
/// the operator has ids that are routed.
pub(super) fn direct(inner: &Inner, kind: StepKind, payer: &Payer, call: &Call) -> Option<Route> {
    let gateway = &inner.gateway;
    let said = &call.options.metadata;
    let fits = |pattern: &String| llm::matches(pattern.as_bytes(), call.model.as_bytes());
    let listed = gateway.on && gateway.table.direct.iter().any(fits);
    if !listed && said.is_empty() {
        return None;
    }
    let step = said.get(STEP).and_then(|word| StepKind::of_word(word.trim()));
    let wishes = Wishes::default().and(said);
    if !listed && wishes.is_none() && step.is_none() {
        return None;
    }
    let session = payer.session.as_deref();
    let question = Question {
        kind: step.unwrap_or(kind),
        own: &call.model,
        wishes: &wishes,
        by_table: listed || (gateway.on && step.is_some()),
        inputs: Task::of_call(call).inputs(),
        session: session.map_or_else(|| inner.ids.draw(), spread),
    };
    let chooser = Chooser { inner, restricted: false, named: &Named::default() };
    chooser.with_known(|known| route::choose(&question, &known))
}

/// The route of a call to a managed prompt router.
pub(super) fn by_router(
    inner: &Inner,
    router: &PromptRouter,
    kind: StepKind,
    call: &Call,
) -> Route {
    let wishes = Wishes::default().and(&call.options.metadata);
    let inputs = Task::of_call(call).inputs();
    let own = router.fallback.as_str();
    let question = Question { kind, own, wishes: &wishes, by_table: false, inputs, session: 0 };
    let chooser = Chooser { inner, restricted: false, named: &Named::default() };
    chooser.with_known(|known| route::of_router(&among(router), &question, &known))
}

/// Whether a call's data stays with local providers.
pub(super) fn restricted(call: &Call) -> bool {
    says_restricted(&call.options.metadata)
}

pub(super) fn says_restricted(said: &BTreeMap<String, String>) -> bool {
    !said.is_empty() && Wishes::default().and(said).restricted
}
