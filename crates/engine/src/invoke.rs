//! From a client's request to a run: a new turn, the rest of a parked one, or one that is already
//! under way because the client's SDK has sent the request again.

use craton_core::agent::event::{
    Accepted, Attributes, Event, HandBack, HandBackState, Resumed, Started,
};
use craton_core::agent::prompt;
use craton_core::agent::tool::{Target, Tool};
use craton_core::agent::turn::{Agent, Turn};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use llm::ModelError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{Batch, CommitError, Conflict, StoreError, Tenant, Versioned};
use wire::converse::Message;

use crate::live::Out;
use crate::record::{ParkedRun, Repeat, RequestAlias, RunRecord, RunStatus, Session};
use crate::run::{self, Run};
use crate::{Engine, Inner, drive, trace, upkeep};

/// How often a repeated request looks for a run that no task here drives yet.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a client asks of an agent.
#[derive(Debug, Clone)]
pub struct TurnRequest {
    pub tenant: Tenant,
    /// The request's id; a new run takes it as its own.
    pub request: String,
    /// The SDK's own id of the request, the same on each of its attempts.
    pub repeat: Option<String>,
    pub agent_id: String,
    pub alias_id: String,
    pub session_id: String,
    /// Digest of a [`crate::record::Pinned`] configuration.
    pub config: String,
    pub input: Input,
    pub session_attributes: Option<Attributes>,
    pub prompt_session_attributes: Option<Attributes>,
    /// Messages for a session that has none yet.
    pub conversation: Vec<Message>,
    /// The answer's text goes out while the model makes it.
    pub stream: bool,
    pub trace: bool,
}

#[derive(Debug, Clone)]
pub enum Input {
    Text(String),
    /// Results of a hand-off.
    Results {
        invocation_id: String,
        results: Vec<ClientResult>,
    },
    /// Ends the session; no model is asked.
    EndSession,
}

/// A result that the client brings for one handed-off call.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientResult {
    pub group: String,
    pub target: ClientTarget,
    pub body: String,
    pub state: HandBackState,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ClientTarget {
    Function(String),
    /// Method and path, as the hand-off named them.
    Api {
        verb: String,
        path: String,
    },
}

/// A turn under way, or one that is over: what the client hears, from the beginning.
pub struct Hearing {
    pub run: String,
    /// The provider that the agent's model maps to; `rules` is no language model.
    pub provider: String,
    pub outs: BoxStream<'static, Out>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Throttled(String),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the pinned configuration {0} is missing")]
    NoConfig(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Returns once the turn is durable, also if it has to wait for its session.
    pub async fn invoke(&self, request: TurnRequest) -> Result<Hearing, InvokeError> {
        let inner = &self.0;
        if let Some(hearing) = self.repeated(&request).await? {
            return Ok(hearing);
        }
        if inner.draining.load(Ordering::SeqCst) {
            return Err(InvokeError::Throttled("the server is stopping".to_owned()));
        }
        if self.running() >= inner.limits.runs {
            let message = format!("{} turns are under way, which is the limit", self.running());
            return Err(InvokeError::Throttled(message));
        }
        let Some(agent) = inner.agent(&request.tenant, &request.config).await? else {
            return Err(InvokeError::NoConfig(request.config));
        };
        let provider = inner.models.resolve(&agent.config.model)?.provider_name;
        let began = match request.input.clone() {
            Input::Text(text) => self.begin(&request, agent, text).await,
            Input::Results { invocation_id, results } => {
                self.resume(&request, agent, &invocation_id, &results).await
            }
            Input::EndSession => self.end_session(&request).await,
        };
        match began {
            Ok(outs) => Ok(outs.into_hearing(provider)),
            Err(Refusal::Repeated) => match self.repeated(&request).await? {
                Some(hearing) => Ok(hearing),
                None => Err(InvokeError::Conflict("the same request is being taken".to_owned())),
            },
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    /// The run of an earlier attempt of the same request, from its beginning.
    async fn repeated(&self, request: &TurnRequest) -> Result<Option<Hearing>, InvokeError> {
        let Some(repeat) = &request.repeat else { return Ok(None) };
        let found = self.0.store.get::<Repeat>(&request.tenant, &repeat_key(repeat)).await?;
        let Some(found) = found.map(|f| f.value).filter(|r| r.expires_at > self.now()) else {
            return Ok(None);
        };
        let record = self.0.store.get::<RunRecord>(&request.tenant, &found.run).await?;
        let provider = record.and_then(|r| r.value.providers.first().cloned()).unwrap_or_default();
        let outs = self.attach(&request.tenant, &found.run, &found.request).await?;
        Ok(Some(Hearing { run: found.run, provider, outs }))
    }

    /// What a run answered, or is answering, to one of its requests.
    pub async fn attach(
        &self,
        tenant: &Tenant,
        run: &str,
        request: &str,
    ) -> Result<BoxStream<'static, Out>, InvokeError> {
        loop {
            if let Some(live) = self.0.activation(tenant, run) {
                return Ok(live.listen());
            }
            if let Some(outs) = self.recorded(tenant, run, request).await? {
                return Ok(stream::iter(outs).boxed());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The outputs of a stretch that is over, from the journal.
    async fn recorded(
        &self,
        tenant: &Tenant,
        run: &str,
        request: &str,
    ) -> Result<Option<Vec<Out>>, StoreError> {
        let Some(record) = self.0.store.get::<RunRecord>(tenant, run).await? else {
            return Ok(Some(Vec::new()));
        };
        let (events, _) = run::load(&self.0, tenant, run).await?;
        let Some(agent) = self.0.agent(tenant, &record.value.config).await? else {
            return Ok(Some(Vec::new()));
        };
        Ok(trace::stretch(&events, &agent, &record.value, request))
    }

    async fn begin(
        &self,
        request: &TurnRequest,
        agent: Arc<Agent>,
        text: String,
    ) -> Result<Begun, Refusal> {
        let inner = &self.0;
        let key = session_key(request);
        let live = inner.activate(&request.tenant, &request.request, &key);
        let waits = inner.in_lane(&request.tenant, &key);
        let taken = if waits > 1 {
            self.wait(request, &agent, text, waits - 1).await
        } else {
            match self.take(request, &agent, text.clone()).await {
                Err(Refusal::Error(InvokeError::Conflict(_))) => {
                    self.wait(request, &agent, text, waits).await
                }
                other => other,
            }
        };
        match taken {
            Ok(()) => Ok(Begun { run: request.request.clone(), outs: live.listen() }),
            Err(refusal) => {
                inner.deactivate(&request.tenant, &request.request);
                Err(refusal)
            }
        }
    }

    /// Begins a turn whose session is free.
    async fn take(
        &self,
        request: &TurnRequest,
        agent: &Arc<Agent>,
        text: String,
    ) -> Result<(), Refusal> {
        let inner = &self.0;
        let mut session = self.session(request).await?;
        if let Some(parked) = session.value.parked.clone() {
            let reason = "new input came instead of the results";
            upkeep::call_off_parked(inner, &request.tenant, &parked, reason).await?;
            session = self.session(request).await?;
        }
        let mut run = self.new_run(request, agent, 1).await?;
        run.record(self.now(), accepted(request, &run.record.providers[0], text));
        run.record(self.now(), started(&run.turn, agent, &session.value));
        run.decide(inner);
        let mut batch = Batch::new(&request.tenant, self.now());
        let lease = Some((inner.owner.as_str(), inner.lease_until()));
        batch.enqueue(&run.id, &run.session_key(), self.now(), lease);
        self.write_begin(&mut batch, request, &mut run);
        inner.store.commit(batch).await?;
        run.tell();
        drive::spawn(self, run);
        Ok(())
    }

    /// Makes a turn durable whose session is busy; it begins when its lane is free.
    async fn wait(
        &self,
        request: &TurnRequest,
        agent: &Arc<Agent>,
        text: String,
        ahead: usize,
    ) -> Result<(), Refusal> {
        let inner = &self.0;
        if ahead > inner.limits.waiting_per_session {
            let message = format!(
                "session {} has {ahead} turns waiting, which is the limit; try again later",
                request.session_id
            );
            return Err(Refusal::Error(InvokeError::Throttled(message)));
        }
        let mut run = self.new_run(request, agent, 0).await?;
        run.record(self.now(), accepted(request, &run.record.providers[0], text));
        let mut batch = Batch::new(&request.tenant, self.now());
        batch.enqueue(&run.id, &run.session_key(), self.now(), None);
        self.write_begin(&mut batch, request, &mut run);
        inner.store.commit(batch).await?;
        upkeep::claim(self).await;
        Ok(())
    }

    fn write_begin(&self, batch: &mut Batch, request: &TurnRequest, run: &mut Run) {
        let payload = run::encode(&std::mem::take(&mut run.pending));
        batch.append(&run.id, run.next, run.epoch, run::EVENTS, "agent", payload);
        run.next += 1;
        batch.put(&run.id, &run.record);
        self.write_repeat(batch, request, &run.id);
    }

    /// INVARIANT: a request's id is taken once an hour per tenant, in the batch that begins it.
    fn write_repeat(&self, batch: &mut Batch, request: &TurnRequest, run: &str) {
        let Some(repeat) = &request.repeat else { return };
        let expires_at = self.now() + self.0.limits.repeat_millis;
        let (run, request) = (run.to_owned(), request.request.clone());
        let record = Repeat { run, request, expires_at };
        let key = repeat_key(repeat);
        batch.expect_version::<Repeat>(&key, 0);
        batch.put_until(&key, &record, expires_at);
    }

    async fn new_run(
        &self,
        request: &TurnRequest,
        agent: &Arc<Agent>,
        epoch: u64,
    ) -> Result<Run, Refusal> {
        let inner = &self.0;
        let key = session_key(request);
        let resolved = inner.models.resolve(&agent.config.model).map_err(InvokeError::Model)?;
        Ok(Run {
            tenant: request.tenant.clone(),
            id: request.request.clone(),
            epoch,
            next: 1,
            turn: Turn::default(),
            agent: agent.clone(),
            effects: run::effects(inner, &request.tenant, agent).await?,
            record: RunRecord {
                run: request.request.clone(),
                agent_id: request.agent_id.clone(),
                agent_version: agent.config.agent_version.clone(),
                alias_id: request.alias_id.clone(),
                session_id: request.session_id.clone(),
                config: request.config.clone(),
                status: RunStatus::Running,
                begun_at: self.now(),
                ended_at: None,
                usage: wire::converse::Usage::default(),
                model_calls: 0,
                providers: vec![resolved.provider_name],
            },
            live: inner.activate(&request.tenant, &request.request, &key),
            pending: Vec::new(),
            outs: Vec::new(),
        })
    }

    /// The request's session; a lapsed one counts as none.
    async fn session(&self, request: &TurnRequest) -> Result<Versioned<Session>, StoreError> {
        upkeep::session(&self.0, &request.tenant, &session_key(request)).await
    }

    async fn resume(
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
        run.record(self.now(), resumed(request, handed));
        run.decide(inner);
        let mut batch = Batch::new(&request.tenant, self.now());
        batch.unpark(&run.id, Some((&inner.owner, inner.lease_until())));
        batch.clear_timer(&upkeep::park_timer(&run.id));
        let taken = Session { parked: None, ..session.value };
        let key = session_key(request);
        batch.expect_version::<Session>(&key, session.version);
        batch.put_until(&key, &taken, self.now() + inner.limits.parked_millis);
        let alias = RequestAlias { run: run.id.clone() };
        batch.put_until(&request.request, &alias, self.now() + inner.limits.parked_millis);
        run.record.status = RunStatus::Running;
        self.write_begin(&mut batch, request, &mut run);
        if let Err(error) = inner.store.commit(batch).await {
            inner.deactivate(&request.tenant, &run.id);
            return Err(error.into());
        }
        let begun = Begun { run: run.id.clone(), outs: run.live.listen() };
        run.tell();
        drive::spawn(self, run);
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
        let (events, next) = run::load(inner, &request.tenant, &parked.run).await?;
        Ok(Run {
            tenant: request.tenant.clone(),
            id: parked.run.clone(),
            epoch: parked.epoch + 1,
            next,
            turn: Turn::replay(events.iter().map(|s| &s.event)),
            effects: run::effects(inner, &request.tenant, &agent).await?,
            agent,
            record: record.value,
            live: inner.activate(&request.tenant, &parked.run, &session_key(request)),
            pending: Vec::new(),
            outs: Vec::new(),
        })
    }

    async fn end_session(&self, request: &TurnRequest) -> Result<Begun, Refusal> {
        let session = self.session(request).await?;
        if let Some(parked) = &session.value.parked {
            upkeep::call_off_parked(&self.0, &request.tenant, parked, "the session ended").await?;
        }
        let mut batch = Batch::new(&request.tenant, self.now());
        batch.delete::<Session>(&session_key(request));
        self.0.store.commit(batch).await?;
        // AWS: the answer to `endSession` (seen in the console and in AWS re:Post threads).
        let text = "Session is terminated as 'endSession' flag is set in request.".to_owned();
        let outs = stream::iter([Out::Chunk(text)]).boxed();
        Ok(Begun { run: request.request.clone(), outs })
    }
}

struct Begun {
    run: String,
    outs: BoxStream<'static, Out>,
}

impl Begun {
    fn into_hearing(self, provider: String) -> Hearing {
        Hearing { run: self.run, provider, outs: self.outs }
    }
}

/// Why a turn did not begin.
enum Refusal {
    /// Another attempt of the same request was first.
    Repeated,
    Error(InvokeError),
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        Refusal::Error(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Error(InvokeError::Store(error))
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(Conflict { kind, .. })
                if kind == <Repeat as store::Record>::KIND =>
            {
                Refusal::Repeated
            }
            CommitError::Conflict(_) => {
                let message = "the session changed meanwhile; try again".to_owned();
                Refusal::Error(InvokeError::Conflict(message))
            }
            CommitError::Store(error) => Refusal::Error(InvokeError::Store(error)),
        }
    }
}

fn session_key(request: &TurnRequest) -> String {
    Session::key(&request.agent_id, &request.alias_id, &request.session_id)
}

fn repeat_key(repeat: &str) -> String {
    format!("InvokeAgent/{repeat}")
}

fn accepted(request: &TurnRequest, provider: &str, input_text: String) -> Event {
    Event::Accepted(Box::new(Accepted {
        tenant: request.tenant.to_string(),
        run: request.request.clone(),
        session_id: request.session_id.clone(),
        alias_id: request.alias_id.clone(),
        config: request.config.clone(),
        provider: provider.to_owned(),
        input_text,
        session_attributes: request.session_attributes.clone(),
        prompt_session_attributes: request.prompt_session_attributes.clone().unwrap_or_default(),
        conversation: request.conversation.clone(),
        stream: request.stream,
        trace: request.trace,
    }))
}

/// What an accepted turn starts from.
pub(crate) fn started(turn: &Turn, agent: &Agent, session: &Session) -> Event {
    Event::Started(Box::new(Started {
        system: prompt::system(&agent.config, &turn.prompt_attributes),
        history: session.history.clone(),
        session_attributes: session.attributes.clone(),
        unknown: session.unknown.clone(),
    }))
}

fn resumed(request: &TurnRequest, results: Vec<HandBack>) -> Event {
    Event::Resumed(Box::new(Resumed {
        request: request.request.clone(),
        results,
        session_attributes: request.session_attributes.clone(),
        prompt_session_attributes: request.prompt_session_attributes.clone(),
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

impl Inner {
    /// Activations of one session, the waiting ones included.
    fn in_lane(&self, tenant: &Tenant, lane: &str) -> usize {
        let live = self.live.lock().expect("no holder of this lock panics");
        live.iter().filter(|((of, _), a)| of == tenant && a.lane == lane).count()
    }
}
