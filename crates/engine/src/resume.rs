//! The rest of a parked turn: the client brings the results of the calls that it was handed, and its
//! user's word on those that need one.

use std::sync::Arc;

use craton_core::agent::event::{Event, HandBack, HandBackState, Resumed, UnknownEffect};
use craton_core::agent::state::{ROUTE, Turn, within};
use craton_core::agent::tool::{HandOff, Target, Tool};
use craton_core::agent::turn::Agent;
use store::{Batch, StoreError, Tenant};
use wire::converse::ToolUse;

use crate::budget::Book;
use crate::invoke::Begun;
use crate::live::Activation;
use crate::model::Named;
use crate::record::{ParkedRun, RequestAlias, RunRecord, RunStatus, Session};
use crate::request::{ClientResult, ClientTarget, Confirmation, InvokeError, Refusal, TurnRequest};
use crate::run::{self, Counted, Path, Policies, Run};
use crate::{Engine, journal, lane, session};

impl Engine {
    pub(crate) async fn resume(
        &self,
        request: &TurnRequest,
        agent: Arc<Agent>,
        invocation_id: &str,
        results: &[ClientResult],
    ) -> Result<Begun, Refusal> {
        let inner = &self.0;
        let session = self.session(request).await?;
        let parked = expected_hand_off(session.value.parked.as_ref(), invocation_id)?;
        let live = Activation::new(&request.session_key(), &request.request);
        let found = self.parked_run(&request.tenant, &parked, Some(live), Some(agent)).await?;
        let Some(mut run) = found else { return Err(InvokeError::Invalid(no_hand_off()).into()) };
        let handed = run.hand_backs(results).map_err(InvokeError::Invalid)?;
        run.policies = run::policies(inner, &request.tenant, &run.agent).await?;
        for (path, results) in handed {
            let mut resumed = resumed(request, results, session.value.unknown.clone());
            resumed.policies = run.policies.set();
            resumed.stream &= run.is_heard(&path);
            run.record(inner, self.now(), within(&path, Event::Resumed(Box::new(resumed))));
        }
        let mut batch = Batch::new(&request.tenant, self.now());
        batch.unpark(&run.id, Some((&inner.owner, inner.lease_until())));
        batch.clear_timer(&session::park_timer(&run.id));
        let taken = Session { parked: None, ..session.value };
        let key = request.session_key();
        batch.expect_version::<Session>(&key, session.version);
        batch.put_until(&key, &taken, self.now() + inner.limits.parked_millis);
        let alias = RequestAlias { run: run.id.clone() };
        batch.put_until(&request.request, &alias, self.now() + inner.limits.parked_millis);
        run.record.status = RunStatus::Running;
        self.write_begin(&mut batch, request, &mut run);
        inner.store.commit(batch).await?;
        inner.live.begin(&request.tenant, &run.id, &run.live);
        let begun = Begun { run: run.id.clone(), outs: run.live.listen() };
        run.tell(inner);
        lane::spawn(self, run);
        Ok(begun)
    }

    /// A parked run as it stands in the journal, for those who listen to it or for a new listener.
    /// `None` if there is no such run, or none with a configuration that compiles.
    pub(crate) async fn parked_run(
        &self,
        tenant: &Tenant,
        parked: &ParkedRun,
        live: Option<Arc<Activation>>,
        fallback: Option<Arc<Agent>>,
    ) -> Result<Option<Run>, StoreError> {
        let inner = &self.0;
        let Some(record) = inner.store.get::<RunRecord>(tenant, &parked.run).await? else {
            return Ok(None);
        };
        // The turn goes on with the configuration that it began with.
        let pinned = inner.agent(tenant, &record.value.config).await?;
        let Some(agent) = pinned.or(fallback) else { return Ok(None) };
        let (events, next) = journal::load(inner, tenant, &parked.run).await?;
        let policies = match Policies::recorded(&events) {
            Some(recorded) => recorded,
            None => run::policies(inner, tenant, &agent).await?,
        };
        let turn = Turn::replay(events.iter().map(|s| &s.event));
        let (listened, key) = (live.is_some(), record.value.session_key());
        let mut run = Run {
            tenant: tenant.clone(),
            id: parked.run.clone(),
            epoch: parked.epoch + 1,
            next,
            counted: Counted::of(events.iter().map(|s| &s.event)),
            policies,
            book: Book::open(inner, &agent.config.budgets, &events),
            named: Named::of(inner, tenant, &agent).await,
            agent,
            record: record.value,
            live: live.unwrap_or_else(|| Activation::new(&key, &turn.request)),
            turn,
            pending: Vec::new(),
            rows: Vec::new(),
            outs: Vec::new(),
            raised: Default::default(),
        };
        if !listened {
            run.hear_again(&events);
        }
        Ok(Some(run))
    }
}

fn resumed(request: &TurnRequest, results: Vec<HandBack>, unknown: Vec<UnknownEffect>) -> Resumed {
    Resumed {
        request: request.request.clone(),
        results,
        session_attributes: request.session_attributes.clone(),
        prompt_session_attributes: request.prompt_session_attributes.clone(),
        unknown: Some(unknown),
        policies: Vec::new(),
        stream: request.stream,
        trace: request.trace,
    }
}

fn no_hand_off() -> String {
    "this session has no hand-off that waits for results; send inputText to begin a turn".to_owned()
}

fn expected_hand_off(
    parked: Option<&ParkedRun>,
    invocation_id: &str,
) -> Result<ParkedRun, InvokeError> {
    let Some(parked) = parked.filter(|parked| !parked.waits_for_a_tool()) else {
        return Err(InvokeError::Invalid(no_hand_off()));
    };
    if parked.invocation_id != invocation_id {
        let message = format!(
            "invocationId {invocation_id} does not match the hand-off that waits for results, {}",
            parked.invocation_id
        );
        return Err(InvokeError::Invalid(message));
    }
    Ok(parked.clone())
}

impl Run {
    /// The results for each turn of the tree whose calls the client holds.
    fn hand_backs(&self, results: &[ClientResult]) -> Result<Vec<(Path, Vec<HandBack>)>, String> {
        let held = self.turn.handed_turns();
        let holders: Option<Vec<Holder<'_>>> =
            held.iter().map(|(path, _)| self.holder(path)).collect();
        let holders = holders.ok_or("a collaborator of this hand-off has left the team")?;
        let matched = match_results(&holders, results)?;
        Ok(held.into_iter().map(|(path, _)| path).zip(matched).collect())
    }

    /// Whether the client hears the turn at a path: its own, and those it was routed to.
    fn is_heard(&self, path: &[String]) -> bool {
        let mut nested = (0..=path.len()).map(|depth| self.place(&path[..depth]));
        path.iter().all(|id| id == ROUTE)
            && nested.all(|place| place.is_some_and(|place| place.agent.may_stream()))
    }

    fn holder(&self, path: &[String]) -> Option<Holder<'_>> {
        let place = self.place(path)?;
        let agent_id = match path {
            [] => &self.record.agent_id,
            [..] => &place.agent.config.agent_id,
        };
        Some(Holder { agent_id, turn: place.turn, agent: place.agent })
    }
}

/// A turn whose calls the client holds, and whose agent asked for them.
struct Holder<'a> {
    agent_id: &'a str,
    turn: &'a Turn,
    agent: &'a Agent,
}

/// A call that the client holds and has not answered yet.
struct Held<'a> {
    holder: usize,
    agent_id: &'a str,
    used: &'a ToolUse,
    tool: &'a Tool,
    asked: HandOff,
}

/// Pairs each result with the call it answers: all calls exactly once, or a reason why not. What
/// comes out is by holder.
fn match_results(
    holders: &[Holder<'_>],
    results: &[ClientResult],
) -> Result<Vec<Vec<HandBack>>, String> {
    let mut open: Vec<Held<'_>> = holders.iter().enumerate().flat_map(held).collect();
    let mut matched: Vec<Vec<HandBack>> = holders.iter().map(|_| Vec::new()).collect();
    for result in results {
        let Some(at) = open.iter().position(|held| answers(held, result)) else {
            return Err(format!(
                "returnControlInvocationResults holds a result for {} that was not asked for, or \
                 was given already",
                name_of(result)
            ));
        };
        check_owner(&open, result)?;
        let held = open.remove(at);
        matched[held.holder].push(hand_back(&held, result)?);
    }
    if !open.is_empty() {
        let missing: Vec<&str> = open.iter().map(|held| held.used.name.as_str()).collect();
        return Err(format!(
            "returnControlInvocationResults lacks results for {}; all of a hand-off's results are \
             sent together",
            missing.join(", ")
        ));
    }
    Ok(matched)
}

/// Two agents may hand off calls of one name: then a result says whose it is.
fn check_owner(open: &[Held<'_>], result: &ClientResult) -> Result<(), String> {
    let mut owners = open.iter().filter(|held| answers(held, result)).map(|held| held.agent_id);
    let first = owners.next();
    match owners.any(|other| Some(other) != first) {
        false => Ok(()),
        true => Err(format!(
            "returnControlInvocationResults holds a result for {} without agentId, which several \
             agents of this hand-off wait for; give the agentId of the invocation input",
            name_of(result)
        )),
    }
}

fn held<'a>((holder, of): (usize, &'a Holder<'a>)) -> impl Iterator<Item = Held<'a>> {
    of.turn.handed_off().into_iter().filter_map(move |used| {
        let tool = of.agent.tool(&used.name)?;
        let asked = of.turn.parked.as_ref()?.asks(tool, &used.tool_use_id);
        Some(Held { holder, agent_id: of.agent_id, used, tool, asked })
    })
}

/// `responseState` has its meaning whatever the user said; a body beside CONFIRM says nothing where
/// the call is yet to be made here.
fn hand_back(held: &Held<'_>, result: &ClientResult) -> Result<HandBack, String> {
    let asked = held.asked;
    let state = match (result.state, asked, result.confirmation) {
        (_, HandOff::Result, Some(_)) => {
            return Err(format!(
                "returnControlInvocationResults holds a confirmationState for {}, whose \
                 actionInvocationType was RESULT; leave it out",
                name_of(result)
            ));
        }
        (_, HandOff::Confirmation | HandOff::ConfirmationAndResult, None) => {
            return Err(format!(
                "returnControlInvocationResults lacks the confirmationState of {}, whose \
                 actionInvocationType was {}; send CONFIRM or DENY",
                name_of(result),
                asked.as_str()
            ));
        }
        (HandBackState::Success, _, Some(Confirmation::Deny)) => HandBackState::Denied,
        (HandBackState::Success, HandOff::Confirmation, Some(Confirmation::Confirm)) => {
            HandBackState::Confirmed
        }
        (state, ..) => state,
    };
    let (tool_use_id, body) = (held.used.tool_use_id.clone(), result.body.clone());
    Ok(HandBack { tool_use_id, body, state })
}

fn answers(held: &Held<'_>, result: &ClientResult) -> bool {
    held.tool.group == result.group
        && result.agent_id.as_deref().is_none_or(|agent| agent == held.agent_id)
        && match (&held.tool.target, &result.target) {
            (
                Target::Function { name, .. } | Target::Mcp { name, .. },
                ClientTarget::Function(given),
            ) => name == given,
            (Target::Api(operation), ClientTarget::Api { verb, path }) => {
                operation.path == *path && operation.verb.eq_ignore_ascii_case(verb)
            }
            (Target::Function { .. } | Target::Mcp { .. }, ClientTarget::Api { .. })
            | (Target::Api(_), ClientTarget::Function(_)) => false,
        }
}

fn name_of(result: &ClientResult) -> String {
    let of = match &result.agent_id {
        Some(agent) => format!("{} of agent {agent}", result.group),
        None => result.group.clone(),
    };
    match &result.target {
        ClientTarget::Function(name) => format!("function {name} of {of}"),
        ClientTarget::Api { verb, path } => format!("{verb} {path} of {of}"),
    }
}
