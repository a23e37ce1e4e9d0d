//! What stands outside of a run in tests: a model that reads from a script, and tools in a world
//! that outlasts every crash, counts what really took effect, and fails when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use craton_core::agent::config::{
    ActionGroup, AgentConfig, Executor, Function, Parameter, ParameterKind, Schema,
};
use craton_core::agent::event::HandBackState;
use craton_core::agent::tool::Effect;
use craton_core::cost::Prices;
use craton_core::policy::ToolPolicy;
use exec::{ExecError, Invoked};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use llm::{Deltas, ModelError, ModelErrorKind, Provider};
use serde_json::{Value as Json, json};
use store::{StoreError, Tenant};
use wire::converse::{Block, Delta, Message, Reply, Role, StopReason, Usage};
use wire::value::Value;

use crate::Engine;
use crate::request::{ClientResult, ClientTarget, Confirmation, Input, TurnRequest};
use crate::tool::{ToolCall, ToolError, Tools};

pub(crate) fn reply(content: Vec<Block>, stop_reason: StopReason) -> Reply {
    Reply { content, stop_reason, usage: Usage::default(), native: Json::Null }
}

/// Answers from its script by what the conversation holds: the same call, the same reply. After
/// the script it says how many messages of the user it has read.
pub(crate) struct Model {
    script: Vec<Reply>,
    /// What it says under other ids.
    others: BTreeMap<String, Vec<Reply>>,
    /// Failures of the next calls, and the text that comes before each.
    failures: Mutex<VecDeque<(ModelErrorKind, Option<&'static str>)>>,
    /// What it sums sessions up with: calls that offer no tools.
    pub(crate) summaries: Mutex<VecDeque<String>>,
    /// The system texts of its calls.
    systems: Mutex<Vec<String>>,
    /// How long it asks to be left alone when it fails.
    pub(crate) retry_after: Mutex<Option<Duration>>,
    pub(crate) calls: AtomicUsize,
    running: AtomicUsize,
    /// The most calls that were under way at once.
    pub(crate) most: AtomicUsize,
    pub(crate) takes: Duration,
    /// What each of its replies is said to have used, if not what the script says.
    pub(crate) usage: Mutex<Usage>,
    /// Between two pieces of a text; without it a text comes whole.
    pub(crate) speaks: Mutex<Option<Duration>>,
}

impl Model {
    pub(crate) fn new(script: Vec<Reply>) -> Self {
        Model {
            script,
            others: BTreeMap::new(),
            failures: Mutex::default(),
            summaries: Mutex::default(),
            systems: Mutex::default(),
            retry_after: Mutex::default(),
            calls: AtomicUsize::default(),
            running: AtomicUsize::default(),
            most: AtomicUsize::default(),
            takes: Duration::ZERO,
            usage: Mutex::default(),
            speaks: Mutex::default(),
        }
    }

    /// One that says something else under other ids.
    pub(crate) fn with(self, others: BTreeMap<String, Vec<Reply>>) -> Self {
        Model { others, ..self }
    }

    pub(crate) fn fail(&self, kind: ModelErrorKind, after_text: bool) {
        self.fail_after(kind, after_text.then_some("<answer>half of "));
    }

    pub(crate) fn fail_after(&self, kind: ModelErrorKind, text: Option<&'static str>) {
        self.failures.lock().expect("no panic").push_back((kind, text));
    }

    /// What it was told, call by call.
    pub(crate) fn systems(&self) -> Vec<String> {
        self.systems.lock().expect("no panic").clone()
    }

    fn next(&self, call: &wire::converse::Call) -> Reply {
        let other = self.others.get(&call.model).filter(|_| call.tools.is_empty());
        if let Some(words) = other.and_then(|replies| replies.first()) {
            return words.clone();
        }
        if call.tools.is_empty() {
            let summary = self.summaries.lock().expect("no panic").pop_front();
            return reply(vec![Block::Text(summary.unwrap_or_default())], StopReason::EndTurn);
        }
        let said = call.messages.iter().filter(|m| m.role == Role::Assistant).count();
        let heard = call.messages.iter().filter(|m| m.role == Role::User).count();
        let script = self.others.get(&call.model).unwrap_or(&self.script);
        script.get(said).cloned().unwrap_or_else(|| {
            let text = format!("<answer>heard {heard}</answer>");
            reply(vec![Block::Text(text)], StopReason::EndTurn)
        })
    }
}

impl Provider for Model {
    fn name(&self) -> &str {
        "scripted"
    }

    fn converse<'a>(
        &'a self,
        call: &'a wire::converse::Call,
    ) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.systems.lock().expect("no panic").push(call.system.join("\n"));
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            if !self.takes.is_zero() {
                tokio::time::sleep(self.takes).await;
            }
            self.running.fetch_sub(1, Ordering::SeqCst);
            let failure = self.failures.lock().expect("no panic").pop_front();
            let pause = *self.speaks.lock().expect("no panic");
            let piece = if pause.is_some() { 4 } else { 0 };
            let usage = *self.usage.lock().expect("no panic");
            let mut reply = self.next(call);
            if usage != Usage::default() {
                reply.usage = usage;
            }
            let deltas: Vec<_> = llm::deltas(reply, piece).into_iter().map(Ok).collect();
            let deltas = futures_util::stream::iter(deltas).then(move |delta| async move {
                tokio::time::sleep(pause.unwrap_or_default()).await;
                delta
            });
            match failure {
                None => Ok(deltas.boxed()),
                Some((kind, None)) => Err(ModelError {
                    retry_after: *self.retry_after.lock().expect("no panic"),
                    ..ModelError::new(kind, "the model is away")
                }),
                Some((kind, Some(text))) => {
                    let text = Delta::Text { index: 0, text: text.to_owned() };
                    let broken = Err(ModelError::new(kind, "the model broke off"));
                    Ok(futures_util::stream::iter([Ok(text), broken]).boxed())
                }
            }
        })
    }
}

/// Ten dollars for a million tokens that are read, fifty for as many that are written, one for a call of a tool.
pub(crate) fn prices() -> Prices {
    let file = "as_of = \"2026-01-01\"\n[[models]]\nmatch = \"*\"\ninput = 10\noutput = 50\n\
                [tool]\ncall = 1\n";
    Prices::none().over(file).expect("a price file")
}

/// A function that answers for the others and changes nothing.
pub(crate) const REPLICA: &str = "replica";

/// How a call of a tool goes, other than well.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    /// It takes effect, but its reply is lost.
    Lost,
    NotSent,
    /// It answers after so many seconds.
    Slow(u64),
    /// The tool says that the turn has failed.
    Failure,
    /// It takes effect, and then the function reports an error of its own.
    Error,
    /// It may have taken effect, and answers 503.
    Broke,
    Panic,
    /// It takes effect, and answers with a page.
    Garbled,
    /// The tool takes the call, says after so many seconds that its result comes later, under
    /// `job-ARGUMENT`, and wants to be asked again after so many.
    Later(u64, Option<u32>),
}

/// Outlasts every crash: what was called, and what took effect.
#[derive(Default)]
pub(crate) struct World {
    /// Effects by idempotency key.
    keyed: Mutex<BTreeMap<String, u32>>,
    /// Effects of tools that recognise no key, by the key all the same.
    once: Mutex<BTreeMap<String, u32>>,
    /// Each call that arrived: the function, its argument, and its key as a number.
    calls: Mutex<Vec<String>>,
    /// The session's and the prompt's attributes of each call.
    attributes: Mutex<Vec<String>>,
    keys: Mutex<Vec<String>>,
    mishaps: Mutex<VecDeque<Mishap>>,
    /// How often somebody asked for a tool's effect class.
    pub(crate) looked_up: AtomicUsize,
    /// How long a call may take, as if all tools were over the network.
    pub(crate) patience: Mutex<Option<Duration>>,
    /// What the next answer says besides.
    postscript: Mutex<String>,
    /// How long the next look at a tool's effect class takes.
    look: Mutex<Option<Duration>>,
    /// What is set for tools besides their effect classes.
    policies: Mutex<BTreeMap<String, ToolPolicy>>,
    /// Effects that were taken back, by the keys of their undos.
    pub(crate) undone: Mutex<BTreeMap<String, u32>>,
}

impl World {
    pub(crate) fn keyed(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.keyed.lock().expect("no panic")
    }

    pub(crate) fn once(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.once.lock().expect("no panic")
    }

    /// What was called so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").clone()
    }

    /// The attributes that came with each call.
    pub(crate) fn attributes(&self) -> Vec<String> {
        self.attributes.lock().expect("no panic").clone()
    }

    /// The next call goes so.
    pub(crate) fn mishap(&self, mishap: Mishap) {
        self.mishaps.lock().expect("no panic").push_back(mishap);
    }

    /// The next answer ends with these words.
    pub(crate) fn say(&self, words: &str) {
        words.clone_into(&mut self.postscript.lock().expect("no panic"));
    }

    /// The next run that begins or is taken up is slow to do so.
    pub(crate) fn look_for(&self, time: Duration) {
        *self.look.lock().expect("no panic") = Some(time);
    }

    /// Sets something for a tool by its function's name.
    pub(crate) fn set(&self, tool: &str, policy: ToolPolicy) {
        self.policies.lock().expect("no panic").insert(tool.to_owned(), policy);
    }

    /// How often the call of a key took effect.
    pub(crate) fn effects(&self, key: &str) -> u32 {
        let of = |map: &BTreeMap<String, u32>| map.get(key).copied().unwrap_or(0);
        of(&self.once()) + of(&self.keyed())
    }

    /// What a probe knows: whether the call of the same key took effect.
    fn probed(&self, key: &str, x: &str) -> String {
        match self.once().contains_key(key) {
            true => json!({"outcome": "done", "result": format!("paid of {x}")}).to_string(),
            false => json!({"outcome": "not_done"}).to_string(),
        }
    }

    fn answer(&self, event: &Json, x: &str, state: Option<&str>) -> Invoked {
        let postscript = std::mem::take(&mut *self.postscript.lock().expect("no panic"));
        answer(event, &format!("{x}{postscript}"), state)
    }

    fn asked_again(&self, token: &str) {
        self.calls.lock().expect("no panic").push(format!("{token} asked for"));
    }

    fn arrived(&self, function: &str, x: &str, key: &str) {
        let mut keys = self.keys.lock().expect("no panic");
        let number = keys.iter().position(|known| known == key).unwrap_or(keys.len());
        if number == keys.len() {
            keys.push(key.to_owned());
        }
        self.calls.lock().expect("no panic").push(format!("{function} {x} key {number}"));
        match function {
            "keyed" => drop(self.keyed().insert(key.to_owned(), 1)),
            "once" | "paid" | "parked" => *self.once().entry(key.to_owned()).or_default() += 1,
            "undo" => {
                *self.undone.lock().expect("no panic").entry(key.to_owned()).or_default() += 1;
            }
            _ => {}
        }
    }
}

impl Tools for Arc<World> {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        Box::pin(async move {
            let event: Json = serde_json::from_slice(&call.payload).expect("the event is JSON");
            if let Some(raw) = event["invokeModelRawResponse"].as_str() {
                self.calls.lock().expect("no panic").push("parser".to_owned());
                return Ok(parsed(raw));
            }
            let function = event["function"].as_str().unwrap_or_default().to_owned();
            let key = event["idempotencyKey"].as_str().unwrap_or_default();
            let x = event["parameters"][0]["value"].as_str().unwrap_or_default();
            let mishap = self.mishaps.lock().expect("no panic").pop_front();
            if let Some(Mishap::NotSent) = mishap {
                return Err(ExecError::NotSent("nobody is there".to_owned()).into());
            }
            if call.function == REPLICA {
                let token = event["craton"]["pending"]["token"].as_str();
                let asked = token.map(|token| format!("{token} asked for"));
                let asked = asked.unwrap_or_else(|| format!("{function} {x}"));
                self.calls.lock().expect("no panic").push(format!("replica {asked}"));
                return match mishap {
                    Some(Mishap::Later(_, poll)) => Ok(later(x, poll)),
                    Some(Mishap::Lost) => Err(ExecError::Lost("it broke off".to_owned()).into()),
                    _ => Ok(self.answer(&event, x, None)),
                };
            }
            match event["craton"]["pending"]["token"].as_str() {
                Some(token) => self.asked_again(token),
                None => self.arrived(&function, x, key),
            }
            let attributes =
                format!("{} {}", event["sessionAttributes"], event["promptSessionAttributes"]);
            self.attributes.lock().expect("no panic").push(attributes);
            tokio::task::yield_now().await;
            match mishap {
                None | Some(Mishap::NotSent) if function == "probe" => {
                    Ok(said(&event, &self.probed(key, x), None))
                }
                None | Some(Mishap::NotSent) => Ok(self.answer(&event, x, None)),
                Some(Mishap::Lost) => Err(ExecError::Lost("it broke off".to_owned()).into()),
                Some(Mishap::Slow(seconds)) => {
                    let time = Duration::from_secs(seconds);
                    let limit = call.timeout.filter(|limit| *limit < time);
                    tokio::time::sleep(limit.unwrap_or(time)).await;
                    match limit {
                        Some(limit) => Err(ExecError::TimedOut(limit).into()),
                        None => Ok(self.answer(&event, x, None)),
                    }
                }
                Some(Mishap::Failure) => Ok(self.answer(&event, x, Some("FAILURE"))),
                Some(Mishap::Error) => Ok(Invoked {
                    error: Some(exec::FunctionError::Unhandled),
                    ..self.answer(&event, x, None)
                }),
                Some(Mishap::Broke) => Ok(Invoked {
                    error: Some(exec::FunctionError::Handled),
                    outcome_known: false,
                    ..self.answer(&event, x, None)
                }),
                Some(Mishap::Later(seconds, poll)) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok(later(x, poll))
                }
                Some(Mishap::Garbled) => Ok(Invoked {
                    payload: Bytes::from_static(b"<html>welcome</html>"),
                    ..self.answer(&event, x, None)
                }),
                Some(Mishap::Panic) => panic!("a defect, on purpose"),
            }
        })
    }

    /// All but the function are behind a URL, where that is set.
    fn patience(&self, _: &str) -> Option<Duration> {
        *self.patience.lock().expect("no panic")
    }

    fn policy<'a>(
        &'a self,
        _: &'a Tenant,
        function: &'a str,
        tool: &'a str,
    ) -> BoxFuture<'a, Result<ToolPolicy, StoreError>> {
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        let effect = match tool {
            _ if function == REPLICA => None,
            "probe" => Some(Effect::Read),
            "paid" => Some(Effect::Compensable),
            "undo" => Some(Effect::Keyed),
            tool => crate::function::parse_effect(tool),
        };
        let set = self.policies.lock().expect("no panic").get(tool).cloned().unwrap_or_default();
        let look = self.look.lock().expect("no panic").take();
        Box::pin(async move {
            if let Some(time) = look {
                tokio::time::sleep(time).await;
            }
            Ok(ToolPolicy { effect: set.effect.or(effect), ..set })
        })
    }
}

fn answer(event: &Json, x: &str, state: Option<&str>) -> Invoked {
    let function = event["function"].as_str().unwrap_or_default();
    said(event, &format!("{function} of {x}"), state)
}

fn said(event: &Json, text: &str, state: Option<&str>) -> Invoked {
    let function = event["function"].as_str().unwrap_or_default();
    let body = json!({"TEXT": {"body": text}});
    let mut response = json!({"messageVersion": "1.0", "response": {
        "actionGroup": event["actionGroup"], "function": function, "functionResponse": {"responseBody": body}}});
    if let Some(state) = state {
        response["response"]["functionResponse"]["responseState"] = json!(state);
    }
    let payload = Bytes::from(response.to_string());
    let (log_tail, duration) = (Vec::new(), Duration::ZERO);
    Invoked { payload, error: None, log_tail, duration, outcome_known: true, retry_after: None }
}

/// A parser function that reads a reply as it was meant.
fn parsed(raw: &str) -> Invoked {
    let said: Json = serde_json::from_str(raw).expect("an orchestration's reply is JSON");
    let blocks = said["content"].as_array().cloned().unwrap_or_default();
    let calls = blocks.iter().filter(|block| block["type"] == "tool_use").map(|used| {
        let name = used["name"].as_str().unwrap_or_default();
        let (group, function) = name.split_once("__").unwrap_or((name, ""));
        let x = json!({"x": {"value": used["input"]["x"]}});
        json!({"actionGroupName": group, "functionName": function, "id": used["id"],
               "actionGroupInput": x})
    });
    let calls: Vec<Json> = calls.collect();
    let details = match calls.is_empty() {
        false => json!({"invocationType": "ACTION_GROUP", "actionGroupInvocations": calls}),
        true => json!({"invocationType": "FINISH",
                       "agentFinalResponse": {"responseText": blocks[0]["text"]}}),
    };
    let response = json!({"messageVersion": "2.0", "promptType": "ORCHESTRATION",
                          "orchestrationParsedResponse": {"responseDetails": details}});
    let payload = Bytes::from(response.to_string());
    let (log_tail, duration) = (Vec::new(), Duration::ZERO);
    Invoked { payload, error: None, log_tail, duration, outcome_known: true, retry_after: None }
}

fn later(x: &str, poll: Option<u32>) -> Invoked {
    let pending = json!({"token": format!("job-{x}"), "pollSeconds": poll});
    let response = json!({"messageVersion": "1.0", "craton": {"pending": pending}});
    let (log_tail, duration) = (Vec::new(), Duration::ZERO);
    let payload = Bytes::from(response.to_string());
    Invoked { payload, error: None, log_tail, duration, outcome_known: true, retry_after: None }
}

/// An agent with three functions here, one of each effect class, four that are set otherwise (`paid`
/// can be probed and undone, `parked` waits for a person), one that the client has, one of each
/// that its user confirms, and a tool to ask its user.
pub(crate) fn config() -> AgentConfig {
    let function = |name: &&str| Function {
        name: (*name).to_owned(),
        description: Some(format!("does {name}")),
        parameters: BTreeMap::from([(
            "x".to_owned(),
            Parameter { kind: ParameterKind::Integer, description: None, required: true },
        )]),
        confirm: false,
    };
    let group = |name: &str, executor, functions: &[&str]| ActionGroup {
        id: name.to_uppercase(),
        name: name.to_owned(),
        description: None,
        executor,
        schema: Schema::Functions(functions.iter().map(function).collect()),
    };
    let lambda = Executor::Lambda("arn:aws:lambda:us-east-1:1:function:f".to_owned());
    AgentConfig {
        agent_id: "AGENT".to_owned(),
        agent_name: "agent".to_owned(),
        agent_version: "DRAFT".to_owned(),
        model: "model".to_owned(),
        instruction: "do it".to_owned(),
        groups: vec![
            group("g", lambda.clone(), &["read", "keyed", "once"]),
            group("shop", lambda.clone(), &["paid", "probe", "undo", "parked"]),
            group("client", Executor::ReturnControl, &["ask"]),
            confirmed(group("bank", lambda, &["once"])),
            confirmed(group("desk", Executor::ReturnControl, &["sign"])),
        ],
        user_input: true,
        idle_session_ttl_seconds: 600,
        ..AgentConfig::default()
    }
}

/// The same group, with the user's word needed for each call.
fn confirmed(mut group: ActionGroup) -> ActionGroup {
    if let Schema::Functions(functions) = &mut group.schema {
        functions.iter_mut().for_each(|function| function.confirm = true);
    }
    group
}

/// A request to the one session of the tests.
pub(crate) fn request(engine: &Engine, tenant: &Tenant, config: &str, input: Input) -> TurnRequest {
    TurnRequest {
        tenant: tenant.clone(),
        request: engine.fresh_id(),
        repeat: None,
        agent_id: "AGENT".to_owned(),
        alias_id: "ALIAS".to_owned(),
        session_id: "session".to_owned(),
        config: config.to_owned(),
        input,
        session_attributes: None,
        prompt_session_attributes: None,
        recall: Default::default(),
        conversation: Vec::new(),
        files: Vec::new(),
        memory_id: None,
        stream: false,
        trace: false,
        provisioned: None,
    }
}

/// All results of a hand-off, as a client sends them.
pub(crate) fn results(payload: &Value) -> Input {
    let payload = Json::from(payload.clone());
    let inputs = payload["invocationInputs"].as_array().cloned().unwrap_or_default();
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    // A client of one agent need not say whose a result is.
    let named = |input: &Json| input["functionInvocationInput"]["collaboratorName"].is_string();
    let several = inputs.iter().any(named);
    let results = inputs.iter().map(|input| {
        let input = &input["functionInvocationInput"];
        ClientResult {
            agent_id: several.then(|| text(&input["agentId"])),
            confirmation: (input["actionInvocationType"] != "RESULT")
                .then_some(Confirmation::Confirm),
            group: text(&input["actionGroup"]),
            target: ClientTarget::Function(text(&input["function"])),
            body: "the client did it".to_owned(),
            state: HandBackState::Success,
        }
    });
    Input::Results { invocation_id: text(&payload["invocationId"]), results: results.collect() }
}

/// No tool use without its result, and no two messages of one role in a row.
pub(crate) fn check_history(history: &[Message]) {
    for pair in history.windows(2) {
        assert_ne!(pair[0].role, pair[1].role);
        let used = pair[0].content.iter().filter_map(|block| match block {
            Block::ToolUse(used) => Some(&used.tool_use_id),
            _ => None,
        });
        let closed = pair[1].content.iter().filter_map(|block| match block {
            Block::ToolResult(result) => Some(&result.tool_use_id),
            _ => None,
        });
        assert_eq!(used.collect::<Vec<_>>(), closed.collect::<Vec<_>>());
    }
}
