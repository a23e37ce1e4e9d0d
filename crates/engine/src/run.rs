//! One run in the hands of this process: its turn, its place in the journal, its outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use craton_core::agent::config::Executor;
use craton_core::agent::event::{Accepted, Event, Intent};
use craton_core::agent::state::{self, Turn};
use craton_core::agent::tool::{Effect, Target, Tool};
use craton_core::agent::turn::{self, Agent, Facts};
use store::{Batch, StoreError, Tenant};

use crate::Inner;
use crate::journal::{self, Stamped};
use crate::live::{Activation, Out};
use crate::record::{RunRecord, RunStatus};
use crate::trace;

pub(crate) struct Run {
    pub(crate) tenant: Tenant,
    pub(crate) id: String,
    pub(crate) epoch: u64,
    /// The journal's next sequence number.
    pub(crate) next: u64,
    pub(crate) turn: Turn,
    pub(crate) counted: Counted,
    pub(crate) agent: Arc<Agent>,
    pub(crate) effects: BTreeMap<String, Effect>,
    pub(crate) record: RunRecord,
    pub(crate) live: Arc<Activation>,
    /// Recorded and not yet appended.
    pub(crate) pending: Vec<Stamped>,
    /// What the client hears of the pending events.
    pub(crate) outs: Vec<Out>,
}

/// Events of a run are numbered from 1, in the order of its journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) events: u64,
    /// The number of the last that asked a model.
    pub(crate) asked: u64,
}

impl Counted {
    pub(crate) fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut counted = Counted::default();
        events.into_iter().for_each(|event| counted.count(event));
        counted
    }

    pub(crate) fn count(&mut self, event: &Event) {
        self.events += 1;
        if asks_a_model(event) {
            self.asked = self.events;
        }
    }
}

fn asks_a_model(event: &Event) -> bool {
    match event {
        Event::Within(within) => asks_a_model(&within.event),
        event => matches!(event, Event::Asked(Intent::AskModel { .. })),
    }
}

impl Run {
    pub(crate) fn accepted(&self) -> &Accepted {
        self.turn.accepted.as_ref().expect("a run's first event accepts its request")
    }

    /// The session's key, which is also the name of the lane.
    pub(crate) fn session_key(&self) -> String {
        self.record.session_key()
    }

    /// Takes an event in: its view for the client, then its effect on the turn.
    pub(crate) fn record(&mut self, at: i64, event: Event) {
        self.outs.extend(trace::outs(&self.turn, &self.agent, &self.record, at, &event));
        state::apply(&mut self.turn, &event);
        self.counted.count(&event);
        self.pending.push(Stamped { at, event });
    }

    /// Decides until nothing more is to be decided now.
    pub(crate) fn decide(&mut self, inner: &Inner) {
        loop {
            let fresh_id = || inner.ids.fresh();
            let effects = &self.effects;
            let effect = |tool: &Tool| effects.get(&tool.name).copied().unwrap_or_default();
            let window = |model: &str| inner.models.window(model);
            let facts = Facts {
                agent: &self.agent,
                limits: &inner.turn,
                fresh_id: &fresh_id,
                effect: &effect,
                window: inner.models.any_window().then_some(&window),
            };
            let events = turn::decide(&self.turn, &facts);
            if events.is_empty() {
                return;
            }
            let at = inner.clock.now();
            for event in events {
                self.record(at, event);
            }
        }
    }

    /// A batch that appends what is pending.
    pub(crate) fn append(&mut self, inner: &Inner) -> Batch {
        let mut batch = Batch::new(&self.tenant, inner.clock.now());
        inner.tally.count(&self.tenant, &self.pending);
        let payload = journal::encode(&std::mem::take(&mut self.pending));
        batch.append(&self.id, self.next, self.epoch, journal::EVENTS, "agent", payload);
        self.live.append(self.next);
        self.next += 1;
        batch
    }

    pub(crate) fn tell(&mut self) {
        for out in self.outs.drain(..) {
            self.live.push(out);
        }
    }

    /// The run's record as it is to stand in the store.
    pub(crate) fn summary(&self, status: RunStatus, ended_at: Option<i64>) -> RunRecord {
        self.record.of(&self.turn, status, ended_at)
    }
}

/// The effect class of each of an agent's tools: declared, else what its schema says, else `once`.
pub(crate) async fn effects(
    inner: &Inner,
    tenant: &Tenant,
    agent: &Agent,
) -> Result<BTreeMap<String, Effect>, StoreError> {
    let mut effects = BTreeMap::new();
    for tool in &agent.tools {
        let Executor::Lambda(function) = &tool.executor else { continue };
        let name = match &tool.target {
            Target::Function { name, .. } => name,
            Target::Api(operation) => &operation.operation_id,
        };
        let declared = inner.tools.effect(tenant, function, name).await?;
        effects.insert(tool.name.clone(), declared.or(tool.effect).unwrap_or_default());
    }
    Ok(effects)
}

impl Run {
    /// Gives a fresh activation what the client heard of the stretch before a crash.
    pub(crate) fn hear_again(&mut self, events: &[Stamped]) {
        for out in trace::open_stretch(events, &self.agent, &self.record) {
            self.live.push(out);
        }
    }
}
