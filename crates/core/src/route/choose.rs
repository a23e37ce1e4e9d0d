//! The choice: what is wished first, then the table; restricted data only to local models.

use super::{Class, Inputs, Route, Spread, StepKind, Table, Target, Wishes};

/// What is asked about.
pub struct Question<'a> {
    pub kind: StepKind,
    /// The model that was asked for.
    pub own: &'a str,
    pub wishes: &'a Wishes,
    /// Whether the table counts, or wishes alone.
    pub by_table: bool,
    pub inputs: Inputs,
    /// The same for all calls of a session, and spread evenly.
    pub session: u64,
}

/// What the engine knows of models, and what it draws.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub table: &'a Table,
    /// Whether there is a `[routing]`.
    pub on: bool,
    /// Whether what is asked of a model stays on the operator's own machines.
    pub local: &'a (dyn Fn(&str) -> bool + Sync),
    /// Whether all of the run's data is restricted, whatever the question's own wishes say.
    pub restricted: bool,
    /// Who stands in for a model.
    pub fallbacks: &'a (dyn Fn(&str) -> Vec<String> + Sync),
    /// The managed prompt router that an id is of.
    pub router: &'a (dyn Fn(&str) -> Option<Router> + Sync),
    /// Whether a pattern fits an id.
    pub fits: &'a (dyn Fn(&str, &str) -> bool + Sync),
    pub draw: &'a (dyn Fn() -> u64 + Sync),
}

/// A managed prompt router: models, and the one that is asked unless another is as good.
pub struct Router {
    pub models: Vec<String>,
    pub fallback: String,
    /// Percent.
    pub quality_difference: f64,
}

/// Who is asked, and why. `None` leaves everything as it was asked for.
pub fn choose(question: &Question<'_>, known: &Known<'_>) -> Option<Route> {
    let (target, mut reason) = aim(question, known)?;
    let rci = question.inputs.rci();
    let (mut models, class) = candidates(&target, rci, question, known.table);
    if let Target::Rci = target {
        reason = format!("{reason}: {}", verdict(rci, question.inputs, known.table));
    }
    match class {
        Some((wanted, found)) if wanted != found => {
            reason.push_str(&format!("; {}, as no model is {}", found.word(), wanted.word()));
        }
        Some((wanted, _)) if models.is_empty() => {
            reason
                .push_str(&format!("; no model is {}: the one that was asked for", wanted.word()));
        }
        Some((wanted, _)) => reason.push_str(&format!("; {}", wanted.word())),
        None => {}
    }
    if models.is_empty() {
        models.push(question.own.to_owned());
    }
    if question.by_table {
        share_out(&mut models, question.session, known, &mut reason);
    }
    let stand_ins: Vec<String> = models.iter().flat_map(|model| (known.fallbacks)(model)).collect();
    models.extend(stand_ins);
    if question.wishes.restricted {
        stay_local(&mut models, question, known, &mut reason);
    }
    Some(finished(models, question.kind, question.inputs, reason))
}

/// What the step is to get, and in words why.
fn aim(question: &Question<'_>, known: &Known<'_>) -> Option<(Target, String)> {
    let Question { wishes, kind, .. } = question;
    let word = kind.word();
    let patience = wishes.latency_millis.map(|millis| millis as f64 / 1000.0);
    if let Some(seconds) = patience.filter(|seconds| *seconds <= known.table.fast_seconds) {
        let reason = format!("{word}: an answer within {seconds} s, whatever the index");
        return Some((Target::Class(Class::Small), reason));
    }
    if let Some(target) = wishes.target(*kind) {
        return Some((target.clone(), format!("{word}: {target} is wished")));
    }
    if question.by_table {
        return Some((known.table.target(*kind), format!("{word}, by the table")));
    }
    wishes.restricted.then(|| (Target::Own, format!("{word}: the model that was asked for")))
}

fn verdict(rci: u32, inputs: Inputs, table: &Table) -> String {
    let Inputs { dependent_steps, required_tools, conditional_blocks } = inputs;
    let large = table.large_above;
    let than = if rci > large { "above" } else { "not above" };
    format!(
        "index {rci} ({dependent_steps} dependent steps, {required_tools} tools, \
         {conditional_blocks} conditions) is {than} {large}"
    )
}

/// The class that was meant, and the one whose models were found.
type Meant = Option<(Class, Class)>;

fn candidates(
    target: &Target,
    rci: u32,
    question: &Question<'_>,
    table: &Table,
) -> (Vec<String>, Meant) {
    let of_class = |class: Class| match table.models(class) {
        Some((found, models)) => (models.to_vec(), Some((class, found))),
        None => (Vec::new(), Some((class, class))),
    };
    match target {
        Target::Rci => of_class(table.class(rci)),
        Target::Class(class) => of_class(*class),
        Target::Own => (vec![question.own.to_owned()], None),
        Target::Model(id) => (vec![id.clone()], None),
    }
}

/// Puts the model that the weights say in the place of the first.
fn share_out(models: &mut [String], session: u64, known: &Known<'_>, reason: &mut String) {
    let Some(first) = models.first_mut() else { return };
    let Some(split) = known.table.split.iter().find(|split| (known.fits)(&split.pattern, first))
    else {
        return;
    };
    let (number, by) = match split.by {
        Spread::Session => (session, "session"),
        Spread::Draw => ((known.draw)(), "draw"),
    };
    if let Some(picked) = split.pick(number) {
        reason.push_str(&format!("; {picked} of the split of {:?}, by {by}", split.pattern));
        picked.clone_into(first);
    }
}

/// INVARIANT: after this a model that is not local is named only where there is no local one at all;
/// the engine then refuses to ask it.
fn stay_local(
    models: &mut Vec<String>,
    question: &Question<'_>,
    known: &Known<'_>,
    reason: &mut String,
) {
    let first = models.first().cloned();
    models.retain(|model| (known.local)(model));
    if models.is_empty() {
        let rest = [Class::Small, Class::Medium, Class::Large, Class::Cheapest];
        let rest = rest.iter().filter_map(|class| known.table.classes.get(class)).flatten();
        let own = std::iter::once(question.own);
        let local = rest.map(String::as_str).chain(own).find(|model| (known.local)(model));
        models.extend(local.map(str::to_owned));
    }
    match models.first() {
        None => {
            reason.push_str("; restricted data, and no model is local");
            models.extend(first);
        }
        Some(model) if Some(model) != first.as_ref() => {
            reason.push_str("; restricted data goes to a local model instead");
        }
        Some(_) => reason.push_str("; restricted data stays local"),
    }
}

/// Which model of a managed router is asked.
///
/// AWS: the router leaves its fallback model when another is predicted to answer better by at least
/// `responseQualityDifference` percent (Bedrock user guide, "Intelligent prompt routing"). The index
/// stands in for the prediction: what lies above `large_above` by more than the difference is for
/// the first of the other models, everything else for the fallback.
pub fn of_router(router: &Router, question: &Question<'_>, known: &Known<'_>) -> Route {
    let rci = question.inputs.rci();
    let bound = f64::from(known.table.large_above) + router.quality_difference;
    let other = router.models.iter().find(|model| **model != router.fallback);
    let better = other.filter(|_| f64::from(rci) > bound.min(99.0));
    let chosen = better.unwrap_or(&router.fallback);
    let mut models = vec![chosen.clone()];
    let rest = router.models.iter().chain([&router.fallback]);
    for model in rest {
        if !models.iter().any(|known| known == model) {
            models.push(model.clone());
        }
    }
    let than = if better.is_some() { "above" } else { "not above" };
    let mut reason = format!(
        "prompt router: index {rci} is {than} {bound}, the bound of large tasks and the quality \
         difference"
    );
    if question.wishes.restricted {
        stay_local(&mut models, question, known, &mut reason);
    }
    finished(models, question.kind, question.inputs, reason)
}

fn finished(models: Vec<String>, kind: StepKind, inputs: Inputs, reason: String) -> Route {
    let mut order: Vec<String> = Vec::new();
    for model in models {
        if !order.contains(&model) {
            order.push(model);
        }
    }
    let fallbacks = order.split_off(1.min(order.len()));
    let model = order.pop().unwrap_or_default();
    Route { model, fallbacks, kind, rci: Some(inputs.rci()), inputs: Some(inputs), reason }
}
