//! What this process has done since it began, by tenant. Whoever asks twice has rates.

use std::collections::HashMap;
use std::sync::Mutex;

use craton_core::agent::event::{Event, Intent};
use serde::Serialize;
use store::Tenant;

use crate::Engine;
use crate::journal::Stamped;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// The moment at which these numbers are true.
    pub at: i64,
    pub turns_begun: u64,
    pub turns_ended: u64,
    pub model_calls: u64,
    pub tool_calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// The totals of every tenant.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<HashMap<Tenant, Totals>>);

impl Tally {
    /// What a commit has made true.
    pub(crate) fn count(&self, tenant: &Tenant, more: &Totals) {
        let mut tally = self.0.lock().expect("no holder of this lock panics");
        match tally.get_mut(tenant) {
            Some(totals) => totals.add(more),
            None => tally.entry(tenant.clone()).or_default().add(more),
        }
    }
}

impl Totals {
    pub(crate) fn of(events: &[Stamped]) -> Totals {
        let mut totals = Totals::default();
        for Stamped { event, .. } in events {
            totals.turns_ended += u64::from(is_end(event));
            totals.count(event);
        }
        totals
    }

    /// All but the moment.
    pub(crate) fn add(&mut self, more: &Totals) {
        self.turns_begun += more.turns_begun;
        self.turns_ended += more.turns_ended;
        self.model_calls += more.model_calls;
        self.tool_calls += more.tool_calls;
        self.input_tokens += more.input_tokens;
        self.output_tokens += more.output_tokens;
    }

    fn count(&mut self, event: &Event) {
        if let Event::Within(within) = event {
            return self.count(&within.event);
        }
        self.turns_begun += u64::from(matches!(event, Event::Accepted(_)));
        self.model_calls += u64::from(matches!(event, Event::Asked(Intent::AskModel(_))));
        self.tool_calls += u64::from(matches!(event, Event::Asked(Intent::Call(_))));
        if let Event::ModelSaid(said) = event {
            self.input_tokens += said.reply.usage.input_tokens;
            self.output_tokens += said.reply.usage.output_tokens;
        }
    }
}

/// Of the turn itself, not of one nested in it.
fn is_end(event: &Event) -> bool {
    matches!(
        event,
        Event::Finished { .. }
            | Event::GaveUp(_)
            | Event::Failed { .. }
            | Event::ModelFailed(_)
            | Event::Cancelled { .. }
    )
}

impl Engine {
    pub fn totals(&self, tenant: &Tenant) -> Totals {
        let tally = self.0.tally.0.lock().expect("no holder of this lock panics");
        Totals { at: self.now(), ..tally.get(tenant).cloned().unwrap_or_default() }
    }
}
