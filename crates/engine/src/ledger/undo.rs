//! Takes back a call that took effect, by the tool that its policy names.
//!
//! The run is over by then, so the row itself carries the promise: it says that the undo is intended
//! before the tool is called, with a timer that takes it up after a crash, and then what came of it.
//! The undo has a key of its own, which follows from the key of the call, so the tool can tell that
//! it is asked again where its class allows that. A call is taken back once.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use craton_core::agent::config::Executor;
use craton_core::agent::event::{Accepted, Call, Event, Intent, Outcome};
use craton_core::agent::tool::{self, Effect, EventContext, Tool};
use craton_core::agent::turn::Agent;
use craton_core::cost::Money;
use craton_core::policy::ToolPolicy;
use serde_json::{Map, Value as Json, json};
use store::{Batch, CommitError, StoreError, Tenant, Timer, Versioned};

use super::list::row_of;
use super::row::{self, LedgerRow, State, Undo, UndoState};
use crate::journal::{self, Stamped};
use crate::lane::{self, PAGE};
use crate::record::{RunRecord, digest};
use crate::run::{action, innermost};
use crate::tool::request::Sender;
use crate::tool::{ToolCall, conduct, doubt};
use crate::{Engine, Inner, session, spend};

/// What the ids of undos' timers begin with.
const TIMERS: &str = "undo/";
/// How long after it was intended an undo is taken up that no process works on.
const TAKE_UP_MILLIS: i64 = 5_000;

/// The undos that this process works on, by the keys of their calls.
pub(crate) type Undoing = Mutex<HashSet<String>>;

/// Why a call was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    #[error("there is no run {0}")]
    NoRun(String),
    #[error("no call has the key {0}")]
    NoEffect(String),
    #[error("the call {0} was taken back already")]
    Undone(String),
    #[error("the call {0} is being taken back")]
    UnderWay(String),
    #[error(
        "nobody knows whether the call {key} was taken back, and {tool} may not be called twice; \
         look there"
    )]
    InDoubt { key: String, tool: String },
    #[error("the call {key} is {}, so there is nothing to take back{advice}", state.word())]
    NotDone { key: String, state: State, advice: &'static str },
    #[error("{tool} names no undo; set `undo` for it under [tools]")]
    NoUndo { tool: String },
    #[error("the call {key} cannot be taken back: {why}")]
    Unfit { key: String, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for UndoError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => UndoError::Store(error),
            CommitError::Conflict(conflict) => UndoError::UnderWay(conflict.id),
        }
    }
}

impl Engine {
    /// Takes a call back; gives its row, whose `undo` says what came of that.
    pub async fn undo(
        &self,
        tenant: &Tenant,
        id: &str,
        key: &str,
        by: &str,
    ) -> Result<LedgerRow, UndoError> {
        let Some(record) = self.find_run(tenant, id).await? else {
            return Err(UndoError::NoRun(id.to_owned()));
        };
        let inner = &self.0;
        let session = session::current(inner, tenant, &record.session_key()).await?;
        let of = (record.run.as_str(), &session.value);
        let found = row_of(&inner.store, tenant, of, key).await?;
        let Some(found) = found else { return Err(UndoError::NoEffect(key.to_owned())) };
        may_be_undone(&found.value)?;
        let Some(_turn) = Turn::take(inner, key) else {
            return Err(UndoError::UnderWay(key.to_owned()));
        };
        let plan = Plan::of(inner, tenant, &found.value).await?;
        let doubt = found.value.undo.as_ref().filter(|undo| undo.state == UndoState::Ambiguous);
        if doubt.is_some() && !plan.call.effect.may_repeat() {
            return Err(UndoError::InDoubt { key: key.to_owned(), tool: plan.tool });
        }
        let row = intend(inner, tenant, found, (&plan.tool, by)).await?;
        let became = perform(inner, plan).await;
        Ok(conclude(inner, tenant, row, became).await?)
    }
}

/// The right to work on one undo, for as long as it is held.
struct Turn<'a> {
    undoing: &'a Undoing,
    key: String,
}

impl<'a> Turn<'a> {
    fn take(inner: &'a Inner, key: &str) -> Option<Turn<'a>> {
        let mut undoing = inner.undoing.lock().unwrap_or_else(PoisonError::into_inner);
        let free = undoing.insert(key.to_owned());
        free.then(|| Turn { undoing: &inner.undoing, key: key.to_owned() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.undoing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

fn may_be_undone(row: &LedgerRow) -> Result<(), UndoError> {
    let key = row.key.clone();
    match row.state {
        State::Undone => Err(UndoError::Undone(key)),
        _ if row.stands() => Ok(()),
        State::Ambiguous => {
            let advice = "; resolve it first";
            Err(UndoError::NotDone { key, state: row.state, advice })
        }
        state => Err(UndoError::NotDone { key, state, advice: "" }),
    }
}

/// The call that takes another one back.
struct Plan {
    agent: Arc<Agent>,
    tool: String,
    policy: ToolPolicy,
    call: Call,
    request: ToolCall,
}

impl Plan {
    async fn of(inner: &Inner, tenant: &Tenant, row: &LedgerRow) -> Result<Plan, UndoError> {
        let unfit = |why: String| UndoError::Unfit { key: row.key.clone(), why };
        let Some(run) = inner.store.get::<RunRecord>(tenant, &row.run).await? else {
            return Err(UndoError::NoRun(row.run.clone()));
        };
        let root = inner.agent(tenant, &run.value.config).await?;
        let named = |agent: Arc<Agent>, name: &String| agent.members.get(name).cloned();
        let agent = root.and_then(|root| row.path.iter().try_fold(root, named));
        let agent = agent.ok_or_else(|| unfit("its agent's configuration is gone".to_owned()))?;
        let undo = undo_tool(inner, tenant, &agent, row).await?;
        let (events, _) = journal::load(inner, tenant, &row.run).await?;
        let made = Made::find(&events, &row.key);
        let made = made.ok_or_else(|| unfit("its run's journal does not have it".to_owned()))?;
        if row.function != made.call.target {
            return Err(unfit(format!("{} took it in place of its tool; see there", row.function)));
        }
        let policy = policy_of(inner, tenant, undo).await?.unwrap_or_default();
        let effect = policy.effect.or(undo.effect).unwrap_or_default();
        let call = made.undo_call(undo, effect, inner.clock.now()).map_err(unfit)?;
        let request = made.request((tenant, &run.value), &agent, &call);
        Ok(Plan { tool: undo.name.clone(), agent: agent.clone(), policy, call, request })
    }
}

async fn undo_tool<'a>(
    inner: &Inner,
    tenant: &Tenant,
    agent: &'a Agent,
    row: &LedgerRow,
) -> Result<&'a Tool, UndoError> {
    let none = || UndoError::NoUndo { tool: row.tool.clone() };
    let tool = agent.tool(&row.tool).ok_or_else(none)?;
    let policy = policy_of(inner, tenant, tool).await?.ok_or_else(none)?;
    let undo = policy.undo.ok_or_else(none)?;
    doubt::sibling(agent, tool, &undo).ok_or_else(|| {
        let why = format!("its undo {undo} is no tool of group {} that runs here", tool.group);
        UndoError::Unfit { key: row.key.clone(), why }
    })
}

/// `None` for a tool that does not run here.
async fn policy_of(
    inner: &Inner,
    tenant: &Tenant,
    tool: &Tool,
) -> Result<Option<ToolPolicy>, StoreError> {
    match action(tool) {
        Some((function, name)) => inner.tools.policy(tenant, &function, &name).await.map(Some),
        None => Ok(None),
    }
}

/// A call as its run's journal has it.
struct Made<'a> {
    accepted: &'a Accepted,
    call: &'a Call,
    result: Option<&'a str>,
}

impl<'a> Made<'a> {
    fn find(events: &'a [Stamped], key: &str) -> Option<Made<'a>> {
        let accepted = events.iter().find_map(|stamped| match &stamped.event {
            Event::Accepted(accepted) => Some(&**accepted),
            _ => None,
        })?;
        let mut made: Option<(Vec<String>, Made<'a>)> = None;
        for stamped in events {
            let (path, event) = innermost(&stamped.event);
            match (event, &mut made) {
                (Event::Asked(Intent::Call(call)), None) if call.key == key => {
                    made = Some((path, Made { accepted, call, result: None }));
                }
                (Event::ToolReturned(returned), Some((at, made)))
                    if *at == path && returned.tool_use_id == made.call.tool_use_id =>
                {
                    if let Outcome::Answered { body, .. } = &returned.outcome {
                        made.result = Some(body);
                    }
                    break;
                }
                _ => {}
            }
        }
        made.map(|(_, made)| made)
    }

    /// The arguments of the undo: those of the call, and for what they lack the result's members of
    /// the same names.
    fn undo_call(&self, undo: &Tool, effect: Effect, now: i64) -> Result<Call, String> {
        let result: Json =
            self.result.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let declared = undo.input["properties"].as_object();
        let value = |name: &String| self.call.input.get(name).or_else(|| result.get(name)).cloned();
        let named = declared.into_iter().flatten().map(|(name, _)| name);
        let given: Map<String, Json> =
            named.filter_map(|name| Some((name.clone(), value(name)?))).collect();
        let input = tool::check_arguments(undo, &Json::Object(given)).map_err(|violations| {
            format!(
                "{} takes what neither the arguments nor the result have: {}",
                undo.name,
                violations.join("; ")
            )
        })?;
        let Executor::Lambda(target) = &undo.executor else {
            return Err(format!("{} is the client's", undo.name));
        };
        Ok(Call {
            tool_use_id: format!("undo-{}", self.call.tool_use_id),
            tool: undo.name.clone(),
            target: target.clone(),
            input,
            key: undo_key(&self.call.key),
            effect,
            at: now,
            send_by: None,
            reserved: None,
        })
    }

    fn request(
        &self,
        (tenant, run): (&Tenant, &RunRecord),
        agent: &Arc<Agent>,
        call: &Call,
    ) -> ToolCall {
        let (config, none) = (&agent.config, BTreeMap::new());
        let context = EventContext {
            agent_name: &config.agent_name,
            agent_id: &config.agent_id,
            agent_alias: &run.alias_id,
            agent_version: &config.agent_version,
            session_id: &run.session_id,
            input_text: &self.accepted.input_text,
            session_attributes: self.accepted.session_attributes.as_ref().unwrap_or(&none),
            prompt_session_attributes: &self.accepted.prompt_session_attributes,
            idempotency_key: "",
        };
        let sender = Sender { tenant, run: &run.run, agent, context };
        let undone = json!({"undo": {
            "tool": self.call.tool,
            "idempotencyKey": self.call.key,
            "arguments": self.call.input,
            "result": self.result,
        }});
        sender.request(call, Some(undone))
    }
}

/// The same for one call, whoever asks and however often.
fn undo_key(key: &str) -> String {
    digest(format!("undo\n{key}").as_bytes())
}

/// Makes durable that the call is about to be taken back.
async fn intend(
    inner: &Inner,
    tenant: &Tenant,
    found: Versioned<LedgerRow>,
    (tool, by): (&str, &str),
) -> Result<Versioned<LedgerRow>, CommitError> {
    let Versioned { version, value: mut row } = found;
    let now = inner.clock.now();
    row.undo = Some(Undo {
        key: undo_key(&row.key),
        tool: tool.to_owned(),
        by: by.to_owned(),
        state: UndoState::Intended,
        at: now,
        message: None,
    });
    row.changed_at = now;
    let (id, mut batch) = (row.id(), Batch::new(tenant, now));
    batch.expect_version::<LedgerRow>(&id, version);
    batch.put(&id, &row);
    batch.timer(&timer(&row.key), now + TAKE_UP_MILLIS, id);
    inner.store.commit(batch).await?;
    Ok(Versioned { version: version + 1, value: row })
}

fn timer(key: &str) -> String {
    format!("{TIMERS}{key}")
}

/// How an undo ended, the tool's words, and what it cost.
struct Became {
    state: UndoState,
    words: String,
    paid: (u32, Money),
}

impl Became {
    /// Nobody was asked.
    fn ambiguous(words: String) -> Became {
        Became { state: UndoState::Ambiguous, words, paid: (0, Money::ZERO) }
    }
}

/// Calls the tool.
async fn perform(inner: &Inner, plan: Plan) -> Became {
    let tool = plan.agent.tool(&plan.tool).expect("the plan was made of it");
    let event = conduct::call_tool(inner, tool, &plan.call, &plan.policy, plan.request).await;
    let returned = match event {
        Event::ToolReturned(returned) => returned,
        Event::Deferred(deferred) => {
            let paid = (1, deferred.cost.unwrap_or_default());
            let later = "the tool says that it answers later";
            return Became { paid, ..Became::ambiguous(later.to_owned()) };
        }
        _ => return Became::ambiguous("the tool gave no outcome".to_owned()),
    };
    let paid = (returned.attempts(), returned.cost.unwrap_or_default());
    let (state, words) = match returned.outcome {
        Outcome::Answered { body, .. } => (UndoState::Done, body),
        Outcome::Reprompt { body } => (UndoState::Failed, body),
        Outcome::Error { message } | Outcome::Failure { message } => (UndoState::Failed, message),
        Outcome::Unknown { message } => (UndoState::Ambiguous, message),
    };
    Became { state, words, paid }
}

/// Makes durable what came of it.
async fn conclude(
    inner: &Inner,
    tenant: &Tenant,
    Versioned { version, value: mut row }: Versioned<LedgerRow>,
    Became { state, words, paid }: Became,
) -> Result<LedgerRow, CommitError> {
    let now = inner.clock.now();
    let run = inner.store.get::<RunRecord>(tenant, &row.run).await.map_err(CommitError::Store)?;
    if let Some(undo) = &mut row.undo {
        (undo.state, undo.message, undo.at) = (state, Some(row::short(&words)), now);
        tracing::info!(key = row.key, tool = undo.tool, outcome = ?state, "a call was taken back");
    }
    if state == UndoState::Done {
        row.state = State::Undone;
    }
    row.changed_at = now;
    let (id, mut batch) = (row.id(), Batch::new(tenant, now));
    batch.expect_version::<LedgerRow>(&id, version);
    batch.put(&id, &row);
    batch.clear_timer(&timer(&row.key));
    let charged = run.filter(|_| paid != (0, Money::ZERO));
    if let Some(run) = &charged {
        spend::tally_late(&mut batch, &run.value, paid, now);
    }
    inner.store.commit(batch).await?;
    if charged.is_some() {
        inner.alarms.spenders.note(tenant);
    }
    Ok(row)
}

/// Takes up the undos that a process left behind.
pub(crate) async fn undo_due(engine: &Engine) -> Result<(), StoreError> {
    let inner = &engine.0;
    for timer in inner.store.due_timers(TIMERS, inner.clock.now(), PAGE).await? {
        let inner = inner.clone();
        // A tool takes its time; upkeep does not wait for it.
        tokio::spawn(async move { take_up(&inner, &timer).await });
    }
    Ok(())
}

async fn take_up(inner: &Inner, timer: &Timer) {
    let key = timer.id.strip_prefix(TIMERS).unwrap_or_default();
    let Some(_turn) = Turn::take(inner, key) else { return };
    if let Err(error) = go_on(inner, timer).await {
        tracing::error!(key, %error, "an undo could not be taken up; tried again");
        lane::put_off(inner, timer).await;
    }
}

async fn go_on(inner: &Inner, timer: &Timer) -> Result<(), UndoError> {
    let id = String::from_utf8_lossy(&timer.payload);
    let found = inner.store.get::<LedgerRow>(&timer.tenant, &id).await?;
    let Some(row) = found.filter(|found| found.value.is_being_undone()) else {
        let mut batch = Batch::new(&timer.tenant, inner.clock.now());
        batch.clear_timer(&timer.id);
        return Ok(inner.store.commit(batch).await?);
    };
    let became = match Plan::of(inner, &timer.tenant, &row.value).await {
        Ok(plan) if plan.call.effect.may_repeat() => perform(inner, plan).await,
        Ok(plan) => {
            let why = format!("it was interrupted, and {} may not be called twice", plan.tool);
            Became::ambiguous(why)
        }
        Err(UndoError::Store(error)) => return Err(error.into()),
        // The crash may have come after the tool was called.
        Err(why) => Became::ambiguous(why.to_string()),
    };
    conclude(inner, &timer.tenant, row, became).await?;
    Ok(())
}
