//! The crash simulation: a seed gives a conversation, the process dies at every commit of it, and
//! what stands at the end is the same as if it had not.
//!
//! Everything outside a run is replaced: the store stops after N commits, the clock is a counter,
//! the model is a script, and the tools live in a world that outlasts every crash and counts what
//! really took effect.

mod budgets;
mod stages;
pub(crate) mod team;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use craton_core::agent::config::Retention;
use craton_core::agent::history::{Past, merged};
use craton_core::agent::limits::Limits as TurnLimits;
use craton_core::agent::state::Turn;
use craton_core::budget::caps::Budgets;
use craton_core::policy::{OnUnknown, ToolPolicy};
use futures_util::StreamExt as _;
use llm::Models;
use serde_json::{Value as Json, json};
use store::{Batch, Store, Tenant};
use wire::converse::{Block, Message, Reply, StopReason, ToolUse};

use self::world::{Model, World, check_history, config, reply};
use crate::env::{Clock, Ids};
use crate::ledger::{self, Resolution, ResolveError, State, WantedEffects};
use crate::limits::Limits;
use crate::live::Out;
use crate::record::{Pinned, Session};
use crate::request::{Input, TurnRequest};
use crate::{Engine, Parts, journal, past};

/// A small generator of its own, so that a seed means the same script for ever.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// The model's replies, one list per turn of the conversation.
type Script = Vec<Vec<Reply>>;

fn script(seed: u64) -> Script {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    (0..2 + dice.roll(2)).map(|turn| replies(turn, &mut dice)).collect()
}

fn replies(turn: u64, dice: &mut Dice) -> Vec<Reply> {
    let steps = 1 + dice.roll(3);
    let mut replies: Vec<Reply> = (0..steps)
        .map(|step| {
            let uses = (0..1 + dice.roll(3)).map(|n| tool_use(turn, step, n, dice)).collect();
            reply(uses, StopReason::ToolUse)
        })
        .collect();
    let answer = Block::Text(format!("<answer>done {turn}</answer>"));
    replies.push(reply(vec![answer], StopReason::EndTurn));
    replies
}

fn tool_use(turn: u64, step: u64, n: u64, dice: &mut Dice) -> Block {
    let tools = [
        "g__read",
        "g__keyed",
        "g__once",
        "client__ask",
        "g__keyed",
        "g__none",
        "shop__paid",
        "shop__parked",
    ];
    let name = tools[usize::try_from(dice.roll(8)).expect("eight")];
    let x = if dice.roll(8) == 0 { json!("bad") } else { json!(turn * 100 + step * 10 + n) };
    Block::ToolUse(ToolUse {
        tool_use_id: format!("u{turn}-{step}-{n}"),
        name: name.to_owned(),
        input: json!({"x": x}),
    })
}

#[derive(Default)]
struct Counter(AtomicI64, AtomicU64);

impl Clock for Counter {
    fn now(&self) -> i64 {
        1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Ids for Counter {
    fn secret(&self) -> String {
        self.fresh()
    }

    fn fresh(&self) -> String {
        format!("id-{:08}", self.1.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is played: the agent's replies, one list per turn, and its team.
#[derive(Clone)]
struct Play {
    script: Script,
    /// Supervisors after those they ask; the last one is the agent that the client asks.
    agents: Vec<Pinned>,
    /// The replies of collaborators, by their model ids.
    members: BTreeMap<String, Vec<Reply>>,
    /// What may be spent: as a rule enough, so that nothing ends otherwise.
    budgets: Budgets,
}

impl Play {
    fn alone(seed: u64) -> Self {
        let agents = vec![Pinned { config: config() }];
        let (members, budgets) = (BTreeMap::new(), Budgets::default());
        Play { script: script(seed), agents, members, budgets }
    }
}

/// One life of the process: it plays the conversation until it ends or the store stops.
struct Life {
    play: Play,
    /// Whether its session is recorded and played again at the end.
    replays: bool,
    world: Arc<World>,
    environment: Arc<Counter>,
    /// The models of each life so far, which know how often they were asked.
    asked: Mutex<Vec<Arc<Model>>>,
}

/// What stands at the end.
#[derive(Debug, PartialEq)]
struct End {
    answers: Vec<String>,
    history: Vec<Message>,
    /// What collaborators heard and said.
    threads: BTreeMap<String, Vec<Message>>,
}

impl End {
    fn conversations(&self) -> impl Iterator<Item = &Vec<Message>> {
        std::iter::once(&self.history).chain(self.threads.values())
    }

    /// Calls whose tools were not heard, and that are not known to be done.
    fn left_open(&self) -> usize {
        let texts = self.conversations().map(|said| serde_json::to_string(said).expect("plain"));
        let open =
            |text: &str| text.matches("unknown_outcome").count() + text.matches("not_done").count();
        texts.map(|text| open(&text)).sum()
    }

    fn check(&self) {
        self.conversations().for_each(|said| check_history(said));
    }
}

impl Life {
    fn new(play: &Play) -> Self {
        let world: Arc<World> = Arc::default();
        let probe = Some("probe".to_owned());
        world.set("paid", ToolPolicy { probe, ..ToolPolicy::default() });
        let on_unknown = Some(OnUnknown::Park);
        world.set("parked", ToolPolicy { on_unknown, ..ToolPolicy::default() });
        let (environment, asked) = Default::default();
        Life { play: play.clone(), replays: true, world, environment, asked }
    }

    /// Plays in a runtime of its own: dropping it kills every task, as a crash does.
    fn live(&self, store: &Store) -> Option<End> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(self.play(store.clone()))
    }

    async fn play(&self, store: Store) -> Option<End> {
        let tenant = Tenant::new("000000000000", "us-east-1");
        let mut batch = Batch::new(&tenant, 0);
        for agent in &self.play.agents {
            batch.put(&agent.digest(), agent);
        }
        store.commit(batch).await.ok()?;
        let model = Model::new(self.play.script.concat()).with(self.play.members.clone());
        *model.usage.lock().expect("no panic") = budgets::USAGE;
        let model = Arc::new(model);
        self.asked.lock().expect("no panic").push(model.clone());
        let engine = Engine::assemble(Parts {
            store,
            models: Models::single(model),
            tools: Arc::new(self.world.clone()),
            buckets: exec::Buckets::default(),
            clock: self.environment.clone(),
            ids: self.environment.clone(),
            turn: TurnLimits::default(),
            limits: Limits::default(),
            sessions: Retention::default(),
            gateway: crate::model::Config::default(),
            budgets: self.play.budgets.clone(),
            prices: world::prices(),
            alerts: Default::default(),
        });
        let key = Session::key("AGENT", "ALIAS", "session");
        if let Some(left) = engine.store().get::<Session>(&tenant, &key).await.ok()? {
            budgets::check_caps(&engine, &tenant, &left.value.runs).await;
        }
        crate::upkeep::recover(&engine).await.ok()?;
        let mut answers = Vec::new();
        let agent = self.play.agents.last().expect("an agent").digest();
        for turn in 0..self.play.script.len() {
            answers.push(self.turn(&engine, &tenant, &agent, turn).await?);
        }
        let session = engine.store().get::<Session>(&tenant, &key).await.ok()??;
        check_journal(&engine, &tenant, &session.value).await;
        check_ledger(&engine, &tenant, &session.value, &self.world).await;
        if self.replays {
            check_replay(&engine, &tenant, &session.value).await;
        }
        let asked = self.asked.lock().expect("no panic").clone();
        let asked = asked.iter().map(|model| model.calls.load(Ordering::SeqCst)).sum();
        budgets::check_counters(&engine, &tenant, &session.value, asked).await;
        let mut threads = BTreeMap::new();
        for (path, thread) in &session.value.threads {
            threads.insert(path.clone(), said(&engine, &tenant, thread).await);
        }
        let history = history(&engine, &tenant, &session.value).await;
        Some(End { answers, history, threads })
    }

    /// One turn of the client: it sends the same request again after a crash, as an SDK does.
    async fn turn(
        &self,
        engine: &Engine,
        tenant: &Tenant,
        config: &str,
        turn: usize,
    ) -> Option<String> {
        let mut input = Input::Text(format!("question {turn}"));
        for leg in 0.. {
            let repeat = Some(format!("{turn}-{leg}"));
            let request = TurnRequest {
                repeat,
                trace: true,
                ..world::request(engine, tenant, config, input.clone())
            };
            let hearing = engine.invoke(request).await.ok()?;
            let outs: Vec<Out> = tokio::select! {
                outs = hearing.outs.collect() => outs,
                () = self.look_after(engine, tenant) => return None,
            };
            match outs.last()? {
                Out::Chunk(text) if text.starts_with(budgets::STOPPED) => {
                    tokio::select! {
                        went = budgets::go_on(engine, tenant) => went?,
                        () = self.look_after(engine, tenant) => return None,
                    }
                    return Some(text.clone());
                }
                Out::Chunk(text) => return Some(text.clone()),
                Out::ReturnControl(payload) => input = world::results(payload),
                // The store has stopped.
                Out::Fault { code, .. } if code == "InternalServerException" => return None,
                Out::Trace(_) => return None,
                Out::Fault { code, message } => panic!("{code}: {message}"),
            }
        }
        None
    }
}

impl Life {
    /// A person who says of the calls that wait for one what the world knows, until the store has
    /// stopped.
    async fn look_after(&self, engine: &Engine, tenant: &Tenant) {
        let (tool, states) = (Some("shop__parked".to_owned()), vec![State::Ambiguous]);
        let wanted = WantedEffects { tool, states, last: 100, ..WantedEffects::default() };
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Ok(page) = engine.list_effects(tenant, &wanted).await else { return };
            for row in page.effects {
                let done = self.world.effects(&row.key) > 0;
                let arguments: Json = serde_json::from_str(&row.arguments).expect("they are short");
                let result = done.then(|| format!("parked of {}", arguments["x"]));
                let word = Resolution { done: Some(done), result, by: "a person".to_owned() };
                let said = engine.resolve(tenant, &row.run, &row.key, &word).await;
                if let Err(ResolveError::Store(_)) = said {
                    return;
                }
            }
        }
    }
}

/// INVARIANT: the ledger says what happened: nothing took effect without a row, nothing twice, and
/// nothing that is said to be done did not.
async fn check_ledger(engine: &Engine, tenant: &Tenant, session: &Session, world: &World) {
    let mut keys = BTreeSet::new();
    for run in &session.runs {
        for row in ledger::rows_of(engine.store(), tenant, run).await.expect("a store") {
            let row = row.value;
            let (effects, done) =
                (world.effects(&row.key), row.ruling.as_ref().and_then(|r| r.done));
            let fits = match row.state {
                State::Done => effects == 1,
                State::Resolved => effects == u32::from(done == Some(true)),
                State::Ambiguous => effects <= 1,
                State::Intended | State::Failed | State::Undone => false,
            };
            assert!(fits, "{effects} effects of {row:?}");
            let refused = session.unknown.iter().any(|unknown| unknown.key == row.key);
            assert_eq!(row.state == State::Ambiguous, refused, "{row:?}");
            keys.insert(row.key);
        }
    }
    let took_effect = world.once().keys().chain(world.keyed().keys()).cloned().collect();
    assert!(keys.is_superset(&took_effect), "each effect has its row");
}

/// What a session holds, as its next turn would send it.
pub(crate) async fn history(engine: &Engine, tenant: &Tenant, session: &Session) -> Vec<Message> {
    said(engine, tenant, &session.past).await
}

async fn said(engine: &Engine, tenant: &Tenant, past: &Past) -> Vec<Message> {
    let mut past = past.clone();
    past::fill(&engine.0, tenant, &mut past).await.expect("a store");
    merged(past.exchanges.iter().flat_map(|exchange| &exchange.messages))
}

/// Every run's journal is whole, and folding it again gives a history that its session holds.
pub(crate) async fn check_journal(engine: &Engine, tenant: &Tenant, session: &Session) {
    let history = history(engine, tenant, session).await;
    for run in &session.runs {
        engine.store().verify_journal(tenant, run).await.expect("the chain of digests holds");
        let (events, _) = journal::load(&engine.0, tenant, run).await.expect("a journal");
        let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        assert!(turn.end.is_some(), "run {run} ended");
        // A question after a turn without an answer joins that turn's last message.
        let said = merged(turn.said_so_far()).into_iter().zip(&history);
        let part = said.clone().count();
        let held = said.filter(|(said, held)| held.content.starts_with(&said.content)).count();
        assert_eq!(part, held, "run {run} is part of the history");
    }
}

/// Whatever happened to its runs, a session that is recorded and played again is the same byte for byte.
async fn check_replay(engine: &Engine, tenant: &Tenant, session: &Session) {
    let last = session.runs.last().expect("a run");
    let recorded = engine.record(tenant, last, true).await.expect("a store").expect("the session");
    assert_eq!(recorded.cassette.runs.len(), session.runs.len());
    assert_eq!(recorded.replayed.parted, None);
    assert!(recorded.replayed.same && !recorded.replayed.edited, "{:?}", recorded.replayed);
    assert!(recorded.replayed.requests > 0);
}

/// Whether there is time for all.
fn long() -> bool {
    std::env::var_os("CRATON_LONG").is_some()
}

/// Plays a seed's script without a crash, then with one after every commit, in both ways of dying.
fn check(seed: u64, play: &Play) -> usize {
    let undisturbed = Life::new(play);
    let expected = undisturbed.live(&Store::memory().expect("a store")).expect("it ends");
    expected.check();
    let effects = undisturbed.world.keyed().len();
    let mut crashes = 0;
    for answered in [true, false] {
        for after in 1.. {
            // A replay costs as much as a life; one in ten meets every kind of crash over the seeds.
            let replays = long() || after % 10 == 0;
            let life = Life { replays, ..Life::new(play) };
            let store = Store::memory().expect("a store");
            match answered {
                true => store.crash_after(after).expect("a memory store"),
                false => store.crash_unanswered_after(after).expect("a memory store"),
            }
            if life.live(&store).is_some() {
                break;
            }
            crashes += 1;
            let reopened = store.reopen().expect("the data is there");
            let end = life.live(&reopened).expect("the second life ends");
            end.check();
            assert_eq!(end.answers, expected.answers, "seed {seed}, crash after {after}");
            let once = life.world.once();
            assert!(once.values().all(|count| *count == 1), "seed {seed}, crash after {after}");
            if end.left_open() == 0 {
                assert_eq!(end, expected, "seed {seed}, crash after {after}");
                assert_eq!(life.world.keyed().len(), effects);
            }
        }
    }
    crashes
}

#[test]
fn a_crash_at_any_commit_ends_as_if_it_had_not_happened() {
    let crashes: usize = std::thread::scope(|scope| {
        let play = |seed| scope.spawn(move || check(seed, &Play::alone(seed)));
        let last = if long() { 60 } else { 6 };
        let seeds: Vec<_> = (1..=last).map(play).collect();
        seeds.into_iter().map(|seed| seed.join().expect("the seed holds")).sum()
    });
    assert!(crashes > 100, "the scripts are long enough to be worth it: {crashes} crashes");
}
