//! The rest of a parked turn: the client brings the results of the calls that it was handed.

use std::sync::Arc;

use craton_core::agent::event::{Event, HandBack, Resumed, UnknownEffect};
use craton_core::agent::state::Turn;
use craton_core::agent::tool::{Target, Tool};
use craton_core::agent::turn::Agent;
use store::Batch;

use crate::invoke::Begun;
use crate::live::Activation;
use crate::record::{ParkedRun, RequestAlias, RunRecord, RunStatus, Session};
use crate::request::{ClientResult, ClientTarget, InvokeError, Refusal, TurnRequest};
use crate::run::{self, Counted, Run};
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
        let mut run = self.parked_run(request, &agent, &parked).await?;
        let handed = match_results(&run.turn, &run.agent, results).map_err(InvokeError::Invalid)?;
        run.record(self.now(), resumed(request, handed, session.value.unknown.clone()));
        run.decide(inner);
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
        run.tell();
        lane::spawn(self, run);
        Ok(begun)
    }

    async fn parked_run(
        &self,
        request: &TurnRequest,
        agent: &Arc<Agent>,
        parked: &ParkedRun,
    ) -> Result<Run, Refusal> {
        let inner = &self.0;
        let Some(record) = inner.store.get::<RunRecord>(&request.tenant, &parked.run).await? else {
            return Err(InvokeError::Invalid(no_hand_off()).into());
        };
        // The turn goes on with the configuration that it began with.
        let pinned = inner.agent(&request.tenant, &record.value.config).await?;
        let agent = pinned.unwrap_or_else(|| agent.clone());
        let (events, next) = journal::load(inner, &request.tenant, &parked.run).await?;
        Ok(Run {
            tenant: request.tenant.clone(),
            id: parked.run.clone(),
            epoch: parked.epoch + 1,
            next,
            turn: Turn::replay(events.iter().map(|s| &s.event)),
            counted: Counted::of(events.iter().map(|s| &s.event)),
            effects: run::effects(inner, &request.tenant, &agent).await?,
            agent,
            record: record.value,
            live: Activation::new(&request.session_key(), &request.request),
            pending: Vec::new(),
            outs: Vec::new(),
        })
    }
}

fn resumed(request: &TurnRequest, results: Vec<HandBack>, unknown: Vec<UnknownEffect>) -> Event {
    Event::Resumed(Box::new(Resumed {
        request: request.request.clone(),
        results,
        session_attributes: request.session_attributes.clone(),
        prompt_session_attributes: request.prompt_session_attributes.clone(),
        unknown: Some(unknown),
        stream: request.stream,
        trace: request.trace,
    }))
}

fn no_hand_off() -> String {
    "this session has no hand-off that waits for results; send inputText to begin a turn".to_owned()
}

fn expected_hand_off(
    parked: Option<&ParkedRun>,
    invocation_id: &str,
) -> Result<ParkedRun, InvokeError> {
    let Some(parked) = parked else { return Err(InvokeError::Invalid(no_hand_off())) };
    if parked.invocation_id != invocation_id {
        let message = format!(
            "invocationId {invocation_id} does not match the hand-off that waits for results, {}",
            parked.invocation_id
        );
        return Err(InvokeError::Invalid(message));
    }
    Ok(parked.clone())
}

/// Pairs each result with the call it answers: all calls exactly once, or a reason why not.
fn match_results(
    turn: &Turn,
    agent: &Agent,
    results: &[ClientResult],
) -> Result<Vec<HandBack>, String> {
    let mut open = turn.handed_off();
    let mut matched = Vec::new();
    for result in results {
        let at = open
            .iter()
            .position(|used| agent.tool(&used.name).is_some_and(|tool| answers(tool, result)));
        let Some(at) = at else {
            return Err(format!(
                "returnControlInvocationResults holds a result for {} that was not asked for, or \
                 was given already",
                name_of(result)
            ));
        };
        let used = open.remove(at);
        let (body, state) = (result.body.clone(), result.state);
        matched.push(HandBack { tool_use_id: used.tool_use_id.clone(), body, state });
    }
    if !open.is_empty() {
        let missing: Vec<&str> = open.iter().map(|used| used.name.as_str()).collect();
        return Err(format!(
            "returnControlInvocationResults lacks results for {}; all of a hand-off's results are \
             sent together",
            missing.join(", ")
        ));
    }
    Ok(matched)
}

fn answers(tool: &Tool, result: &ClientResult) -> bool {
    tool.group == result.group
        && match (&tool.target, &result.target) {
            (Target::Function { name, .. }, ClientTarget::Function(given)) => name == given,
            (Target::Api(operation), ClientTarget::Api { verb, path }) => {
                operation.path == *path && operation.verb.eq_ignore_ascii_case(verb)
            }
            (Target::Function { .. }, ClientTarget::Api { .. })
            | (Target::Api(_), ClientTarget::Function(_)) => false,
        }
}

fn name_of(result: &ClientResult) -> String {
    match &result.target {
        ClientTarget::Function(name) => format!("function {name} of {}", result.group),
        ClientTarget::Api { verb, path } => format!("{verb} {path} of {}", result.group),
    }
}
