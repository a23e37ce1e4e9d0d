//! The engine's promises, each held by a test over a memory store, a scripted model and a world of
//! tools, in a time that passes only while nobody works.

mod alerts;
mod attempts;
mod budgets;
mod cassettes;
mod clumsy;
mod crowds;
mod drawn;
mod dry_runs;
mod effects;
mod events;
mod foreseen;
mod forks;
mod gateway;
mod hand_offs;
mod holds;
mod kept;
mod ledger;
mod memory;
mod operators;
mod pending;
mod policies;
mod repeats;
mod replays;
mod routes;
mod sessions;
mod spending;
mod streams;
mod tails;
mod team;
mod threads;
mod traces;
mod views;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use craton_core::agent::config::{AgentConfig, Retention};
use craton_core::agent::limits::Limits as TurnLimits;
use craton_core::budget::caps::Budgets;
use expect_test::Expect;
use futures_util::StreamExt as _;
use llm::Models;
use serde_json::{Value as Json, json};
use store::{Batch, Store, Tenant};
use tokio::time::Instant;
use wire::converse::{Block, Message, Reply, ResultBlock, Role, StopReason, ToolUse};

use crate::env::{Clock, Ids};
use crate::ledger::Resolution;
use crate::limits::Limits;
use crate::live::Out;
use crate::record::{Pinned, RunStatus, Session};
use crate::request::{Hearing, Input, InvokeError, TurnRequest};
use crate::sim::world::{Model, World, check_history, config, reply};
use crate::sim::{self, world};
use crate::{Engine, Parts};

/// The time of the paused runtime, and ids in order.
struct Surroundings {
    began: Instant,
    ids: AtomicU64,
}

impl Clock for Surroundings {
    fn now(&self) -> i64 {
        let passed = self.began.elapsed().as_millis();
        1_700_000_000_000 + i64::try_from(passed).expect("a test is short")
    }
}

impl Ids for Surroundings {
    fn secret(&self) -> String {
        self.fresh()
    }

    fn fresh(&self) -> String {
        format!("id-{:08}", self.ids.fetch_add(1, Ordering::Relaxed))
    }
}

/// An engine in its surroundings, with one agent and one session.
struct Bench {
    engine: Engine,
    store: Store,
    tenant: Tenant,
    config: String,
    world: Arc<World>,
    model: Arc<Model>,
    surroundings: Arc<Surroundings>,
    limits: Limits,
    budgets: Budgets,
}

impl Bench {
    /// Each part of the script is one reply: `use g__once 1, use g__read 2` or a text.
    async fn new(script: &[&str]) -> Bench {
        Bench::with(script, Duration::ZERO, Limits::default()).await
    }

    async fn with(script: &[&str], model_takes: Duration, limits: Limits) -> Bench {
        let replies = script.iter().enumerate().map(|(at, text)| parse(at, text));
        let mut model = Model::new(replies.collect());
        model.takes = model_takes;
        let model = Arc::new(model);
        Bench::of(Models::single(model.clone()), model, limits).await
    }

    /// Whoever answers.
    async fn of(models: Models, model: Arc<Model>, limits: Limits) -> Bench {
        let store = Store::memory().expect("a store");
        let surroundings = Surroundings { began: Instant::now(), ids: AtomicU64::default() };
        let (surroundings, world) = (Arc::new(surroundings), Arc::default());
        let pinned = Pinned { config: config() };
        let tenant = Tenant::new("000000000000", "us-east-1");
        let mut batch = Batch::new(&tenant, 0);
        batch.put(&pinned.digest(), &pinned);
        store.commit(batch).await.expect("the configuration");
        let engine = start(&store, models, &world, &surroundings, &limits).await;
        let config = pinned.digest();
        let budgets = Budgets::default();
        Bench { engine, store, tenant, config, world, model, surroundings, limits, budgets }
    }

    /// The same under other budgets, by a process that begins anew.
    async fn under(mut self, budgets: &str) -> Bench {
        self.budgets = serde_json::from_str(budgets).expect("budgets");
        self.restart().await;
        self
    }

    /// The digest of another configuration, which is pinned now too.
    async fn other_config(&self, config: AgentConfig) -> String {
        let pinned = Pinned { config };
        let mut batch = Batch::new(&self.tenant, 0);
        batch.put(&pinned.digest(), &pinned);
        self.store.commit(batch).await.expect("the configuration");
        pinned.digest()
    }

    /// The process dies, and the next one as well, right after it has found what was left behind.
    async fn restart_in_vain(&mut self) {
        self.store = self.store.reopen().expect("the data is there");
        let models = Models::single(self.model.clone());
        let parts = parts(&self.store, models, &self.world, &self.surroundings, &self.limits);
        crate::upkeep::recover(&Engine::assemble(parts)).await.expect("a store");
    }

    /// The process dies and another begins on the same data.
    async fn restart(&mut self) {
        self.store = self.store.reopen().expect("the data is there");
        let models = Models::single(self.model.clone());
        let mut parts = parts(&self.store, models, &self.world, &self.surroundings, &self.limits);
        if self.budgets != Budgets::default() {
            (parts.budgets, parts.prices) = (self.budgets.clone(), world::prices());
        }
        self.engine = Engine::start(parts).await.expect("the engine starts");
    }

    fn request(&self, text: &str) -> TurnRequest {
        self.request_of(Input::Text(text.to_owned()))
    }

    fn request_of(&self, input: Input) -> TurnRequest {
        world::request(&self.engine, &self.tenant, &self.config, input)
    }

    fn repeatable(&self, text: &str, repeat: &str) -> TurnRequest {
        TurnRequest { repeat: Some(repeat.to_owned()), ..self.request(text) }
    }

    async fn ask(&self, text: &str) -> String {
        self.hear(self.request(text)).await
    }

    async fn hear(&self, request: TurnRequest) -> String {
        heard(self.engine.invoke(request).await).await
    }

    /// Brings the results of the hand-off that a request ended with.
    async fn hand_off(&self, text: &str) -> Input {
        self.hand_off_of(self.request(text)).await
    }

    async fn hand_off_of(&self, request: TurnRequest) -> Input {
        let hearing = self.engine.invoke(request).await.expect("a turn");
        match hearing.outs.collect::<Vec<_>>().await.pop() {
            Some(Out::ReturnControl(payload)) => world::results(&payload),
            other => panic!("no hand-off but {other:?}"),
        }
    }

    /// An operator says what became of a call; what came of that.
    async fn resolve(&self, key: &str, done: Option<bool>) -> String {
        let result = done.filter(|done| *done).map(|_| "seen by a person".to_owned());
        let resolution = Resolution { done, result, by: "operator".to_owned() };
        match self.engine.resolve(&self.tenant, "session", key, &resolution).await {
            Ok(row) => row.map_or("resolved", |row| row.state.word()).to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Waits until no run is under way.
    async fn quiet(&self) {
        while self.engine.running() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn session(&self) -> Session {
        let key = Session::key("AGENT", "ALIAS", "session");
        let found = self.store.get::<Session>(&self.tenant, &key).await.expect("a store");
        found.map(|found| found.value).unwrap_or_default()
    }

    /// All that the session holds, as the next turn would send it.
    async fn history(&self) -> Vec<Message> {
        let history = sim::history(&self.engine, &self.tenant, &self.session().await).await;
        check_history(&history);
        history
    }

    async fn statuses(&self) -> Vec<RunStatus> {
        let runs = self.engine.runs(&self.tenant, None, 100).await.expect("runs");
        runs.iter().rev().map(|run| run.status).collect()
    }

    /// What the session holds and what the world has seen.
    async fn check(&self, expected: &Expect) {
        let (session, history) = (self.session().await, self.history().await);
        let mut out = String::new();
        for message in &history {
            writeln!(out, "{}", spoken(message)).expect("a string takes it");
        }
        for effect in &session.unknown {
            writeln!(out, "unknown {} {}", effect.tool, effect.arguments).expect("takes it");
        }
        for call in self.world.calls() {
            writeln!(out, "called {call}").expect("a string takes it");
        }
        expected.assert_eq(&out);
    }
}

async fn start(
    store: &Store,
    models: Models,
    world: &Arc<World>,
    surroundings: &Arc<Surroundings>,
    limits: &Limits,
) -> Engine {
    let parts = parts(store, models, world, surroundings, limits);
    Engine::start(parts).await.expect("the engine starts")
}

fn parts(
    store: &Store,
    models: Models,
    world: &Arc<World>,
    surroundings: &Arc<Surroundings>,
    limits: &Limits,
) -> Parts {
    Parts {
        store: store.clone(),
        models,
        tools: Arc::new(world.clone()),
        buckets: exec::Buckets::default(),
        prices: craton_core::cost::Prices::default(),
        clock: surroundings.clone(),
        ids: surroundings.clone(),
        turn: TurnLimits::default(),
        limits: limits.clone(),
        sessions: Retention::default(),
        gateway: crate::model::Config::default(),
        budgets: Default::default(),
        alerts: Default::default(),
    }
}

fn parse(at: usize, text: &str) -> Reply {
    let block = |(n, part): (usize, &str)| match part.strip_prefix("use ") {
        None => Block::Text(part.to_owned()),
        Some(tool) => {
            let (name, x) = tool.split_once(' ').expect("a tool and its argument");
            let input: Json = json!({"x": x.parse::<i64>().expect("a number")});
            let tool_use_id = format!("u{at}{n}");
            Block::ToolUse(ToolUse { tool_use_id, name: name.to_owned(), input })
        }
    };
    let content = text.split(", ").enumerate().map(block).collect();
    reply(content, StopReason::EndTurn)
}

/// All that a client hears: traces as dots.
async fn heard(hearing: Result<Hearing, InvokeError>) -> String {
    match hearing {
        Ok(hearing) => hearing.outs.map(told).collect::<Vec<_>>().await.concat(),
        Err(error) => format!("refused: {error}"),
    }
}

fn told(out: Out) -> String {
    match out {
        Out::Chunk(text) => format!("[{text}]"),
        Out::Trace(_) => ".".to_owned(),
        Out::ReturnControl(_) => "[hand-off]".to_owned(),
        Out::Fault { code, message } => format!("[{code}: {message}]"),
    }
}

fn spoken(message: &Message) -> String {
    let blocks = message.content.iter().map(|block| match block {
        Block::Text(text) => text.clone(),
        Block::ToolUse(used) => format!("use {} {}", used.name, used.input["x"]),
        Block::ToolResult(result) => match &result.content[..] {
            [ResultBlock::Text(text)] => text.split([':', ';']).next().unwrap_or("").to_owned(),
            other => panic!("{other:?} is not expected"),
        },
        other => panic!("{other:?} is not expected"),
    });
    let role = if message.role == Role::User { "user" } else { "agent" };
    format!("{role}: {}", blocks.collect::<Vec<_>>().join(", "))
}
