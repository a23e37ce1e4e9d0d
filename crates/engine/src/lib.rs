//! Drives runs: makes durable what `core` decides and performs what it asks for.
//!
//! A client's [`request`] becomes a run ([`invoke`], [`resume`]); a run waits for its session's lane
//! ([`lane`]), is driven from event to event ([`drive`]) while performers act outside
//! ([`perform`] for models, [`tool`] for tools), and leaves its [`session`] for the next. A client that asks a model
//! directly and a turn that does so ask by [`model`]. Upkeep finds what a crash left behind
//! and clears what has lapsed ([`upkeep`]). Asynchronous invocations of functions are accepted and
//! performed beside all that ([`event`]). What became of calls that change something stands in the
//! [`ledger`]. Traces are views of the [`journal`] ([`trace`]); a [`cassette`] is an export of it that is
//! played again without the world. The engine knows no HTTP and no operation of AWS.

pub mod alert;
pub mod budget;
pub mod cassette;
pub mod dry;
pub mod env;
pub mod event;
pub mod fork;
pub mod function;
pub mod inspect;
pub mod journal;
pub mod kept;
pub mod ledger;
pub mod limits;
pub mod live;
pub mod memory;
pub mod model;
pub mod record;
pub mod request;
pub mod spend;
pub mod steps;
pub mod tail;
pub mod trace;

mod drive;
mod flight;
mod invoke;
mod lane;
mod parse;
mod past;
pub mod pending;
mod perform;
mod resume;
mod run;
mod session;
#[cfg(test)]
mod sim;
pub mod team;
#[cfg(test)]
mod tests;
pub mod tool;
mod upkeep;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use craton_core::agent::config::{AgentConfig, Retention};
use craton_core::agent::limits::Limits as TurnLimits;
use craton_core::agent::turn::Agent;
use craton_core::budget::caps::Budgets;
use craton_core::cost::Prices;
use store::{Store, StoreError};

use crate::env::{Clock, Ids};
use crate::limits::Limits;
use crate::live::Live;
use crate::tool::SharedTools;

/// What the engine works with.
pub struct Parts {
    pub store: Store,
    pub models: llm::Models,
    pub tools: SharedTools,
    /// Where `s3://` locations are read.
    pub buckets: exec::Buckets,
    pub prices: Prices,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub turn: TurnLimits,
    pub limits: Limits,
    /// What of a conversation sessions keep, where an agent says nothing else.
    pub sessions: Retention,
    /// What is set for calls of models.
    pub gateway: model::Config,
    /// What may be spent; nothing is capped where nothing is set.
    pub budgets: Budgets,
    /// Whom it tells what a person should hear of.
    pub alerts: alert::Settings,
}

/// A handle; clones share one engine.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) models: llm::Models,
    pub(crate) gateway: Arc<model::Gateway>,
    pub(crate) tools: SharedTools,
    pub(crate) buckets: exec::Buckets,
    pub(crate) prices: Prices,
    pub(crate) spending: spend::Spending,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) turn: TurnLimits,
    pub(crate) limits: Limits,
    /// Every cap is set, or left out on purpose.
    pub(crate) sessions: Retention,
    pub(crate) budgets: budget::Settings,
    pub(crate) alarms: alert::Alarms,
    pub(crate) pasts: past::Pasts,
    /// This process, as the owner of leases.
    pub(crate) owner: String,
    pub(crate) live: Live,
    pub(crate) tally: inspect::Tally,
    /// Accepted events that are due.
    pub(crate) events: event::Agenda,
    /// When the leases of this process were last renewed.
    pub(crate) renewed_at: std::sync::atomic::AtomicI64,
    /// Leases that could not be given back yet; upkeep tries again.
    pub(crate) strays: Mutex<Vec<lane::Stray>>,
    /// Runs that sum up sessions that idled out.
    pub(crate) summaries: Mutex<Vec<(store::Tenant, String)>>,
    pub(crate) agents: Mutex<HashMap<String, Arc<Agent>>>,
    pub(crate) kept: kept::Kept,
    /// Digests of supervisors' configurations by what they were composed of.
    pub(crate) composed: Mutex<HashMap<String, String>>,
    /// What this process knows of its tools, and what they answered.
    pub(crate) desk: tool::Desk,
    pub(crate) answers: tool::Answers,
    pub(crate) undoing: ledger::Undoing,
    /// What must stand in no cassette.
    pub(crate) secrets: std::sync::OnceLock<Vec<String>>,
    /// The cassette that clients are answered from, instead of by runs.
    pub(crate) stage: Option<cassette::stage::Stage>,
    /// The dry runs that this process sees to.
    pub(crate) dry: dry::Places,
    /// Turned on when the process is about to stop: no new run is taken.
    pub(crate) draining: std::sync::atomic::AtomicBool,
}

impl Engine {
    /// Takes over the runs that an earlier process left behind, then begins upkeep.
    pub async fn start(parts: Parts) -> Result<Engine, StoreError> {
        let engine = Engine::assemble(parts);
        upkeep::recover(&engine).await?;
        tokio::spawn(upkeep::forever(Arc::downgrade(&engine.0)));
        Ok(engine)
    }

    pub(crate) fn assemble(parts: Parts) -> Engine {
        let owner = parts.ids.fresh();
        Engine(Arc::new(Inner {
            store: parts.store,
            gateway: Arc::new(model::Gateway::open(parts.gateway, &parts.models)),
            models: parts.models,
            tools: parts.tools,
            buckets: parts.buckets,
            prices: parts.prices,
            spending: spend::Spending::default(),
            clock: parts.clock,
            ids: parts.ids,
            turn: parts.turn,
            pasts: past::Pasts::new(parts.limits.cached_history_bytes),
            sessions: parts.sessions.or(&limits::SESSIONS),
            alarms: alert::Alarms::new(parts.alerts),
            budgets: budget::Settings::new(&parts.budgets),
            limits: parts.limits,
            owner,
            live: Live::default(),
            tally: inspect::Tally::default(),
            events: event::Agenda::default(),
            renewed_at: std::sync::atomic::AtomicI64::new(i64::MIN / 2),
            summaries: Mutex::default(),
            strays: Mutex::default(),
            agents: Mutex::default(),
            kept: kept::Kept::default(),
            composed: Mutex::default(),
            desk: tool::Desk::default(),
            answers: tool::Answers::default(),
            undoing: ledger::Undoing::default(),
            secrets: std::sync::OnceLock::new(),
            stage: None,
            dry: dry::Places::default(),
            draining: std::sync::atomic::AtomicBool::new(false),
        }))
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn models(&self) -> &llm::Models {
        &self.0.models
    }

    pub fn tools(&self) -> &SharedTools {
        &self.0.tools
    }

    pub fn buckets(&self) -> &exec::Buckets {
        &self.0.buckets
    }

    pub fn prices(&self) -> &Prices {
        &self.0.prices
    }

    /// Milliseconds since the Unix epoch, by the engine's clock.
    pub fn now(&self) -> i64 {
        self.0.clock.now()
    }

    /// The breakers of an account's tools, as this process has them.
    pub fn breakers(&self, tenant: &store::Tenant) -> Vec<tool::BreakerView> {
        self.0.desk.views(tenant, self.now())
    }

    /// The breakers of all providers of models, as this process has them.
    pub fn provider_breakers(&self) -> Vec<model::ProviderView> {
        self.0.gateway.doors.views(self.now())
    }

    pub fn fresh_id(&self) -> String {
        self.0.ids.fresh()
    }

    /// Text that nobody can guess.
    pub fn secret(&self) -> String {
        self.0.ids.secret()
    }

    /// Runs that a task of this process drives, or that wait for their lane here.
    pub fn running(&self) -> usize {
        self.0.live.count()
    }

    /// Takes no new runs and waits for those under way; what is not done in time stays in the
    /// journal and goes on when the next process starts; a dry run has no next process, and is called
    /// off and paid for. Returns how many were left.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.0.draining.store(true, std::sync::atomic::Ordering::SeqCst);
        let deadline = tokio::time::Instant::now() + patience;
        let (live, dry) = (&self.0.live, &self.0.dry);
        let under_way = || live.moving() + self.0.events.flying() + dry.taken();
        wait_until(deadline, || under_way() == 0).await;
        dry.call_off();
        wait_until(tokio::time::Instant::now() + dry::LAST_WORDS, || dry.taken() == 0).await;
        note("writing down what was spent", spend::flush(&self.0).await);
        self.running()
    }
}

async fn wait_until(deadline: tokio::time::Instant, done: impl Fn() -> bool) {
    while !done() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Inner {
    /// What sessions of an agent keep.
    pub(crate) fn retention(&self, config: &AgentConfig) -> Retention {
        config.retention.or(&self.sessions)
    }

    /// How long what was said stays in the store: the text itself, and the journals that tell of it.
    pub(crate) fn text_millis(&self, config: &AgentConfig) -> i64 {
        i64::from(self.retention(config).days.unwrap_or(u32::MAX)) * 24 * 3_600_000
    }

    pub(crate) fn lease_until(&self) -> i64 {
        self.clock.now() + self.limits.lease_millis
    }
}

/// For work that is done again in the next round anyway.
pub(crate) fn note<T, E: std::fmt::Display>(doing: &str, result: Result<T, E>) {
    if let Err(error) = result {
        tracing::error!(%error, "{doing} failed; it is tried again");
    }
}
