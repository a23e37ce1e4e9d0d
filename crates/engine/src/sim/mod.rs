//! The crash simulation: a seed gives a conversation, the process dies at every commit of it, and
//! what stands at the end is the same as if it had not.
//!
//! Everything outside a run is replaced: the store stops after N commits, the clock is a counter,
//! the model is a script, and the tools live in a world that outlasts every crash and counts what
//! really took effect.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use craton_core::agent::config::{
    ActionGroup, AgentConfig, Executor, Function, Parameter, ParameterKind, Schema,
};
use craton_core::agent::event::HandBackState;
use craton_core::agent::limits::Limits as TurnLimits;
use craton_core::agent::state::Turn;
use craton_core::agent::tool::Effect;
use exec::Invoked;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use llm::{Deltas, ModelError, Models, Provider};
use serde_json::{Value as Json, json};
use store::{Batch, Store, StoreError, Tenant};
use wire::converse::{Block, Message, Reply, Role, StopReason, ToolUse, Usage};

use crate::env::{Clock, Ids};
use crate::function::{ToolCall, ToolError, Tools};
use crate::limits::Limits;
use crate::live::Out;
use crate::record::{Pinned, Session};
use crate::request::{ClientResult, ClientTarget, Input, TurnRequest};
use crate::{Engine, Parts, journal};

/// A small generator of its own, so that a seed means the same script for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
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
    let tools = ["g__read", "g__keyed", "g__once", "client__ask", "g__keyed", "g__none"];
    let name = tools[usize::try_from(dice.roll(6)).expect("six")];
    let x = if dice.roll(8) == 0 { json!("bad") } else { json!(turn * 100 + step * 10 + n) };
    Block::ToolUse(ToolUse {
        tool_use_id: format!("u{turn}-{step}-{n}"),
        name: name.to_owned(),
        input: json!({"x": x}),
    })
}

fn reply(content: Vec<Block>, stop_reason: StopReason) -> Reply {
    Reply { content, stop_reason, usage: Usage::default() }
}

/// Answers from the script by what the conversation holds: the same call, the same reply.
struct Scripted(Script);

impl Provider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn converse(&self, call: wire::converse::Call) -> BoxFuture<'_, Result<Deltas, ModelError>> {
        let said = |m: &&Message| m.role == Role::Assistant;
        let at = call.messages.iter().filter(said).count();
        let reply = self.0.iter().flatten().nth(at).cloned();
        let reply = reply.unwrap_or_else(reply_to_nothing);
        let deltas = llm::deltas(reply, 0).into_iter().map(Ok);
        Box::pin(async move { Ok(futures_util::stream::iter(deltas).boxed()) })
    }
}

fn reply_to_nothing() -> Reply {
    reply(vec![Block::Text("the script is over".to_owned())], StopReason::EndTurn)
}

/// Outlasts every crash: what was called, and what took effect.
#[derive(Default)]
struct World {
    /// Effects by idempotency key.
    keyed: Mutex<BTreeMap<String, u32>>,
    /// Effects of tools that recognise no key, by their arguments.
    once: Mutex<BTreeMap<String, u32>>,
}

impl Tools for Arc<World> {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        Box::pin(async move {
            let event: Json = serde_json::from_slice(&call.payload).expect("the event is JSON");
            let function = event["function"].as_str().unwrap_or_default().to_owned();
            let key = event["idempotencyKey"].as_str().unwrap_or_default().to_owned();
            let x = event["parameters"][0]["value"].to_string();
            match function.as_str() {
                "keyed" => {
                    self.keyed.lock().expect("world").insert(key, 1);
                }
                "once" => {
                    *self.once.lock().expect("world").entry(key).or_default() += 1;
                }
                _ => {}
            }
            tokio::task::yield_now().await;
            let body = json!({"TEXT": {"body": format!("{function} of {x}")}});
            let response = json!({"messageVersion": "1.0", "response": {
                "actionGroup": "g", "function": function,
                "functionResponse": {"responseBody": body}}});
            let payload = Bytes::from(response.to_string());
            let (log_tail, duration) = (Vec::new(), std::time::Duration::ZERO);
            Ok(Invoked { payload, error: None, log_tail, duration, outcome_known: true })
        })
    }

    fn effect<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        tool: &'a str,
    ) -> BoxFuture<'a, Result<Option<Effect>, StoreError>> {
        let effect = crate::function::parse_effect(tool);
        Box::pin(async move { Ok(effect) })
    }
}

#[derive(Default)]
struct Counter(AtomicI64, AtomicU64);

impl Clock for Counter {
    fn now(&self) -> i64 {
        1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Ids for Counter {
    fn fresh(&self) -> String {
        format!("id-{:08}", self.1.fetch_add(1, Ordering::Relaxed))
    }
}

fn config() -> AgentConfig {
    let function = |name: &str| Function {
        name: name.to_owned(),
        description: Some(format!("does {name}")),
        parameters: BTreeMap::from([(
            "x".to_owned(),
            Parameter { kind: ParameterKind::Integer, description: None, required: true },
        )]),
    };
    let group = |name: &str, executor, functions: &[&str]| ActionGroup {
        id: name.to_uppercase(),
        name: name.to_owned(),
        description: None,
        executor,
        schema: Schema::Functions(functions.iter().map(|name| function(name)).collect()),
    };
    let lambda = Executor::Lambda("arn:aws:lambda:us-east-1:1:function:f".to_owned());
    AgentConfig {
        agent_id: "AGENT".to_owned(),
        agent_name: "agent".to_owned(),
        agent_version: "DRAFT".to_owned(),
        model: "model".to_owned(),
        instruction: "do it".to_owned(),
        groups: vec![
            group("g", lambda, &["read", "keyed", "once"]),
            group("client", Executor::ReturnControl, &["ask"]),
        ],
        idle_session_ttl_seconds: 600,
    }
}

/// One life of the process: it plays the conversation until it ends or the store stops.
struct Life {
    script: Script,
    world: Arc<World>,
    environment: Arc<Counter>,
}

/// What stands at the end.
#[derive(Debug, PartialEq)]
struct End {
    answers: Vec<String>,
    history: Vec<Message>,
}

impl Life {
    fn new(seed: u64) -> Self {
        Life { script: script(seed), world: Arc::default(), environment: Arc::default() }
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
        let pinned = Pinned { config: config() };
        let mut batch = Batch::new(&tenant, 0);
        batch.put(&pinned.digest(), &pinned);
        store.commit(batch).await.ok()?;
        let engine = Engine::assemble(Parts {
            store,
            models: Models::single(Arc::new(Scripted(self.script.clone()))),
            tools: Arc::new(self.world.clone()),
            clock: self.environment.clone(),
            ids: self.environment.clone(),
            turn: TurnLimits::default(),
            limits: Limits::default(),
        });
        crate::upkeep::recover(&engine).await.ok()?;
        let mut answers = Vec::new();
        for turn in 0..self.script.len() {
            answers.push(self.turn(&engine, &tenant, &pinned.digest(), turn).await?);
        }
        let key = Session::key("AGENT", "ALIAS", "session");
        let session = engine.store().get::<Session>(&tenant, &key).await.ok()??;
        check_journal(&engine, &tenant, &session.value).await;
        Some(End { answers, history: session.value.history })
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
            let request = TurnRequest {
                tenant: tenant.clone(),
                request: engine.fresh_id(),
                repeat: Some(format!("{turn}-{leg}")),
                agent_id: "AGENT".to_owned(),
                alias_id: "ALIAS".to_owned(),
                session_id: "session".to_owned(),
                config: config.to_owned(),
                input: input.clone(),
                session_attributes: None,
                prompt_session_attributes: None,
                conversation: Vec::new(),
                stream: false,
                trace: true,
            };
            let hearing = engine.invoke(request).await.ok()?;
            let outs: Vec<Out> = hearing.outs.collect().await;
            match outs.last()? {
                Out::Chunk(text) => return Some(text.clone()),
                Out::ReturnControl(payload) => input = results(&Json::from((**payload).clone())),
                // The store has stopped.
                Out::Fault { code, .. } if code == "InternalServerException" => return None,
                Out::Trace(_) => return None,
                Out::Fault { code, message } => panic!("{code}: {message}"),
            }
        }
        None
    }
}

fn results(payload: &Json) -> Input {
    let inputs = payload["invocationInputs"].as_array().cloned().unwrap_or_default();
    let results = inputs.iter().map(|input| {
        let input = &input["functionInvocationInput"];
        ClientResult {
            group: input["actionGroup"].as_str().unwrap_or_default().to_owned(),
            target: ClientTarget::Function(
                input["function"].as_str().unwrap_or_default().to_owned(),
            ),
            body: "the client did it".to_owned(),
            state: HandBackState::Success,
        }
    });
    Input::Results {
        invocation_id: payload["invocationId"].as_str().unwrap_or_default().to_owned(),
        results: results.collect(),
    }
}

/// Every run's journal is whole, and folding it again gives a history that its session holds.
async fn check_journal(engine: &Engine, tenant: &Tenant, session: &Session) {
    for run in &session.runs {
        engine.store().verify_journal(tenant, run).await.expect("the chain of digests holds");
        let (events, _) = journal::load(&engine.0, tenant, run).await.expect("a journal");
        let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        assert!(turn.end.is_some(), "run {run} ended");
        assert!(session.history.starts_with(&turn.messages), "run {run} is part of the history");
    }
}

/// No tool use without its result, and no two messages of one role in a row.
fn check_history(history: &[Message]) {
    for pair in history.windows(2) {
        assert_ne!(pair[0].role, pair[1].role);
        let used = pair[0].content.iter().filter_map(|block| match block {
            Block::ToolUse(used) => Some(&used.tool_use_id),
            _ => None,
        });
        let closed: Vec<&String> = pair[1]
            .content
            .iter()
            .filter_map(|block| match block {
                Block::ToolResult(result) => Some(&result.tool_use_id),
                _ => None,
            })
            .collect();
        assert_eq!(used.collect::<Vec<_>>(), closed);
    }
}

fn unknown_outcomes(history: &[Message]) -> usize {
    let text = serde_json::to_string(history).expect("plain data");
    text.matches("unknown_outcome").count()
}

/// Plays a seed without a crash, then with one after every commit, in both ways of dying.
fn check(seed: u64) -> usize {
    let undisturbed = Life::new(seed);
    let expected = undisturbed.live(&Store::memory().expect("a store")).expect("it ends");
    check_history(&expected.history);
    let effects = undisturbed.world.keyed.lock().expect("world").len();
    let mut crashes = 0;
    for answered in [true, false] {
        for after in 1.. {
            let life = Life::new(seed);
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
            check_history(&end.history);
            assert_eq!(end.answers, expected.answers, "seed {seed}, crash after {after}");
            let once = life.world.once.lock().expect("world");
            assert!(once.values().all(|count| *count == 1), "seed {seed}, crash after {after}");
            if unknown_outcomes(&end.history) == 0 {
                assert_eq!(end, expected, "seed {seed}, crash after {after}");
                assert_eq!(life.world.keyed.lock().expect("world").len(), effects);
            }
        }
    }
    crashes
}

#[test]
fn a_crash_at_any_commit_ends_as_if_it_had_not_happened() {
    let crashes: usize = (1..=6).map(check).sum();
    assert!(crashes > 100, "the scripts are long enough to be worth it: {crashes} crashes");
}
