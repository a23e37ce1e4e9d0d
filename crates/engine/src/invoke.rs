//! From a client's request to a run: a new turn, the rest of a parked one, or one that is already
//! under way because the client's SDK has sent the request again.

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::event::{Accepted, Event, Lineage, Task};
use craton_core::agent::state::Turn;
use craton_core::agent::turn::Agent;
use craton_core::cost::Bill;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use store::{Batch, StoreError, Tenant, Versioned};

use crate::budget::Book;
use crate::live::{Activation, Out};
use crate::model::Named;
use crate::record::{Repeat, RunRecord, RunStatus, Session};
use crate::request::{ENDED, Hearing, Input, InvokeError, Refusal, TurnRequest};
use crate::run::{self, Counted, Run};
use crate::{Engine, journal, lane, memory, model, note, session, spend, trace};

/// How often a repeated request looks for a run that no task here drives yet.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many times: a run that nobody has taken up by then is told of as such.
const LOOKS: u32 = 600;

impl Engine {
    /// Returns once the turn is durable, also if it has to wait for its session.
    pub async fn invoke(&self, request: TurnRequest) -> Result<Hearing, InvokeError> {
        let inner = &self.0;
        if let Some(stage) = &inner.stage {
            return stage.answer(&request);
        }
        if let Some(hearing) = self.repeated(&request).await? {
            return Ok(hearing);
        }
        self.has_room()?;
        let Some(agent) = inner.agent(&request.tenant, &request.config).await? else {
            return Err(InvokeError::NoConfig(request.config));
        };
        if let Some(id) = request.memory_id.as_ref().filter(|_| agent.config.memory.is_none()) {
            let message = format!(
                "memoryId {id}: agent {} has no memory; enable SESSION_SUMMARY in its \
                 memoryConfiguration and prepare it",
                request.agent_id
            );
            return Err(InvokeError::Invalid(message));
        }
        let model = &agent.config.model;
        let provider = model::resolve(inner, &request.tenant, model).await?.provider_name;
        let began = match request.input.clone() {
            Input::Text(text) => {
                self.before_a_session(&request).await?;
                self.begin(&request, agent, text).await
            }
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
        if found.asked != request.asked() {
            let message = format!(
                "amz-sdk-invocation-id {repeat} came with another request within the hour; send \
                 each request under an id of its own"
            );
            return Err(InvokeError::Conflict(message));
        }
        if let Some(text) = found.answer {
            let outs = stream::iter([Out::Chunk(text)]).boxed();
            return Ok(Some(Hearing { run: found.run, provider: String::new(), outs }));
        }
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
        for _ in 0..LOOKS {
            let live = self.0.live.get(tenant, run).filter(|live| live.request == request);
            if let Some(live) = live {
                return Ok(live.listen());
            }
            if let Some(outs) = self.recorded(tenant, run, request).await? {
                return Ok(stream::iter(outs).boxed());
            }
            if let Some(live) = self.listen_again(tenant, run, request).await? {
                return Ok(live.listen());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let message = format!("run {run} is not driven by any server now; try again later");
        Err(InvokeError::Conflict(message))
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
        let (events, _) = journal::load(&self.0, tenant, run).await?;
        let Some(agent) = self.0.agent(tenant, &record.value.config).await? else {
            return Ok(Some(Vec::new()));
        };
        let heard = trace::stretch(&events, &agent, &record.value, request);
        // Of a run that is over nothing more will come.
        let over = record.value.ended_at.is_some().then(Vec::new);
        Ok(heard.or(over))
    }

    /// A session begins once its memory knows of those that are over; one that goes on stays with its
    /// memory.
    async fn before_a_session(&self, request: &TurnRequest) -> Result<(), InvokeError> {
        let Some(memory) = &request.memory_id else { return Ok(()) };
        let session = self.session(request).await?.value;
        if let Some(message) = session::of_another_memory(&session, Some(memory)) {
            return Err(InvokeError::Invalid(message));
        }
        if session.session_id.is_empty() {
            let prefix = memory::prefix(&request.agent_id, &request.alias_id, Some(memory));
            self.settle_memory(&request.tenant, &prefix).await?;
        }
        Ok(())
    }

    async fn begin(
        &self,
        request: &TurnRequest,
        agent: Arc<Agent>,
        text: String,
    ) -> Result<Begun, Refusal> {
        let inner = &self.0;
        let key = request.session_key();
        let live = Activation::new(&key, &request.request);
        inner.live.begin(&request.tenant, &request.request, &live);
        let ahead = inner.live.in_lane(&request.tenant, &key).saturating_sub(1);
        let taken = if ahead > 0 {
            self.wait(self.new_run(request, &agent, &live).await, request, text, ahead).await
        } else {
            match self.take(request, &agent, text.clone(), &live).await {
                Err(Refusal::Error(InvokeError::Conflict(_))) => {
                    self.wait(self.new_run(request, &agent, &live).await, request, text, 1).await
                }
                other => other,
            }
        };
        match taken {
            Ok(()) => Ok(Begun { run: request.request.clone(), outs: live.listen() }),
            Err(refusal) => {
                inner.live.end(&request.tenant, &request.request, &live);
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
        live: &Arc<Activation>,
    ) -> Result<(), Refusal> {
        let inner = &self.0;
        let mut session = self.session(request).await?;
        // It may have become that since the request came.
        let other = session::of_another_memory(&session.value, request.memory_id.as_deref());
        if let Some(message) = other {
            return Err(InvokeError::Invalid(message).into());
        }
        if let Some(parked) = session.value.parked.clone() {
            session::call_off_parked(inner, &request.tenant, &parked, session::BY_USER).await?;
            session = self.session(request).await?;
        }
        let mut run = self.new_run(request, agent, live).await?;
        run.epoch = 1;
        run.record(inner, self.now(), accepted(request, &run.record.providers[0], text));
        let started = session::started(inner, &request.tenant, &run, session.value).await?;
        run.record(inner, self.now(), started);
        run.consult(inner).await?;
        run.decide(inner);
        let mut batch = Batch::new(&request.tenant, self.now());
        let lease = Some((inner.owner.as_str(), inner.lease_until()));
        batch.enqueue(&run.id, &run.session_key(), self.now(), lease);
        // A turn that came and went meanwhile must not be lost: then this one waits instead.
        batch.expect_version::<Session>(&run.session_key(), session.version);
        self.write_begin(&mut batch, request, &mut run);
        inner.store.commit(batch).await?;
        run.tell(inner);
        lane::spawn(self, run);
        Ok(())
    }

    /// Makes a turn durable whose session is busy; it begins when its lane is free.
    async fn wait(
        &self,
        run: Result<Run, Refusal>,
        request: &TurnRequest,
        text: String,
        ahead: usize,
    ) -> Result<(), Refusal> {
        let inner = &self.0;
        if ahead > inner.limits.waiting_per_session {
            let message = format!(
                "session {} has {ahead} turns waiting, which is the limit; try again later",
                request.session_id
            );
            return Err(Refusal::Error(InvokeError::Conflict(message)));
        }
        let mut run = run?;
        run.record(inner, self.now(), accepted(request, &run.record.providers[0], text));
        let mut batch = Batch::new(&request.tenant, self.now());
        batch.enqueue(&run.id, &run.session_key(), self.now(), None);
        self.write_begin(&mut batch, request, &mut run);
        inner.store.commit(batch).await?;
        run.tell(inner);
        lane::claim(self).await;
        Ok(())
    }

    pub(crate) fn write_begin(&self, batch: &mut Batch, request: &TurnRequest, run: &mut Run) {
        run.append_to(&self.0, batch);
        batch.put(&run.id, &run.record);
        self.write_repeat(batch, request, &run.id, None);
    }

    /// INVARIANT: a request's id is taken once an hour per tenant, in the batch that begins it.
    fn write_repeat(
        &self,
        batch: &mut Batch,
        request: &TurnRequest,
        run: &str,
        answer: Option<String>,
    ) {
        let Some(repeat) = &request.repeat else { return };
        let expires_at = self.now() + self.0.limits.repeat_millis;
        let (run, first) = (run.to_owned(), request.request.clone());
        let record = Repeat { run, request: first, asked: request.asked(), answer, expires_at };
        let key = repeat_key(repeat);
        batch.expect_version::<Repeat>(&key, 0);
        batch.put_until(&key, &record, expires_at);
    }

    async fn new_run(
        &self,
        request: &TurnRequest,
        agent: &Arc<Agent>,
        live: &Arc<Activation>,
    ) -> Result<Run, Refusal> {
        let inner = &self.0;
        let resolved = model::resolve(inner, &request.tenant, &agent.config.model).await;
        let resolved = resolved.map_err(InvokeError::Model)?;
        Ok(Run {
            tenant: request.tenant.clone(),
            id: request.request.clone(),
            epoch: 0,
            next: 1,
            turn: Turn::default(),
            counted: Counted::default(),
            agent: agent.clone(),
            policies: run::policies(inner, &request.tenant, agent).await?,
            book: Book::open(inner, &agent.config.budgets, &[]),
            named: Named::of(inner, &request.tenant, agent).await,
            record: RunRecord {
                run: request.request.clone(),
                lineage: Lineage::root(&request.request),
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
                bill: Bill::default(),
                user: None,
                customer: None,
                paused_at: None,
            },
            live: live.clone(),
            pending: Vec::new(),
            rows: Vec::new(),
            outs: Vec::new(),
            raised: Default::default(),
        })
    }

    /// The request's session; a lapsed one counts as none.
    pub(crate) async fn session(
        &self,
        request: &TurnRequest,
    ) -> Result<Versioned<Session>, StoreError> {
        session::current(&self.0, &request.tenant, &request.session_key()).await
    }

    async fn end_session(&self, request: &TurnRequest) -> Result<Begun, Refusal> {
        let mut session = self.session(request).await?;
        if let Some(parked) = &session.value.parked {
            session::call_off_parked(&self.0, &request.tenant, parked, "the session ended").await?;
            session = self.session(request).await?;
        }
        let text = ENDED.to_owned();
        let mut batch = Batch::new(&request.tenant, self.now());
        let (lane, lease) = (request.session_key(), (self.0.owner.as_str(), self.now()));
        // It takes the lane for the length of the batch, so no turn is under way meanwhile.
        batch.enqueue(&request.request, &lane, self.now(), Some(lease));
        batch.expect_version::<Session>(&lane, session.version);
        batch.delete::<Session>(&lane);
        batch.dequeue(&request.request, 1);
        let mut ended = session.value;
        ended.memory_id = ended.memory_id.or_else(|| request.memory_id.clone());
        let summed_up = memory::end(&mut batch, &ended, &request.config, self.now());
        self.write_repeat(&mut batch, request, &request.request, Some(text.clone()));
        match self.0.store.commit(batch).await.map_err(Refusal::from) {
            Ok(()) => {}
            Err(Refusal::Error(InvokeError::Conflict(_))) => {
                let busy = format!(
                    "session {} has a turn under way; end it once the turn is over",
                    request.session_id
                );
                return Err(Refusal::Error(InvokeError::Conflict(busy)));
            }
            Err(refusal) => return Err(refusal),
        }
        if let Some(id) = summed_up {
            // What fails here is done when its timer is due, which is now.
            note("summing a session up", memory::begin(self, &request.tenant, &id).await);
        }
        let outs = stream::iter([Out::Chunk(text)]).boxed();
        Ok(Begun { run: request.request.clone(), outs })
    }
}

pub(crate) struct Begun {
    pub(crate) run: String,
    pub(crate) outs: BoxStream<'static, Out>,
}

impl Begun {
    fn into_hearing(self, provider: String) -> Hearing {
        Hearing { run: self.run, provider, outs: self.outs }
    }
}

fn repeat_key(repeat: &str) -> String {
    format!("InvokeAgent/{repeat}")
}

fn accepted(request: &TurnRequest, provider: &str, input_text: String) -> Event {
    Event::Accepted(Box::new(Accepted {
        tenant: request.tenant.to_string(),
        run: request.request.clone(),
        lineage: Lineage::root(&request.request),
        session_id: request.session_id.clone(),
        alias_id: request.alias_id.clone(),
        config: request.config.clone(),
        provider: provider.to_owned(),
        input_text,
        session_attributes: request.session_attributes.clone(),
        prompt_session_attributes: request.prompt_session_attributes.clone().unwrap_or_default(),
        conversation: request.conversation.clone(),
        files: request.files.clone(),
        memory_id: request.memory_id.clone(),
        task: Task::Answer,
        recall: request.recall.clone(),
        stream: request.stream,
        trace: request.trace,
        provisioned: request.provisioned.clone(),
        max_cost: spend::max_cost(request),
    }))
}
