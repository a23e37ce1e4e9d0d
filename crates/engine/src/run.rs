//! One run in the hands of this process: its turn, its place in the journal, its outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use craton_core::agent::call::NOTE_TOKENS;
use craton_core::agent::config::Executor;
use craton_core::agent::event::{Ask, Call as ToolCall, Event, Intent, Refusal};
use craton_core::agent::state::{self, Turn};
use craton_core::agent::tool::Tool;
use craton_core::agent::turn::{self, Agent, Facts};
use craton_core::policy::{SetPolicy, ToolPolicy};
use craton_core::route::{DATA_CLASS, Known, RESTRICTED};
use store::{Batch, StoreError, Tenant};
use wire::converse::Call;

use crate::alert::Raised;
use crate::budget::{self, Book};
use crate::journal::{self, Stamped};
use crate::ledger::{self, LedgerRow};
use crate::live::{Activation, Out};
use crate::model::route::Chooser;
use crate::model::{Asking, Named, Payer};
use crate::record::{RunRecord, RunStatus};
use crate::spend;
use crate::tool::ToolKey;
use crate::{Inner, alert, trace};

pub(crate) struct Run {
    pub(crate) tenant: Tenant,
    pub(crate) id: String,
    pub(crate) epoch: u64,
    /// The journal's next sequence number.
    pub(crate) next: u64,
    pub(crate) turn: Turn,
    pub(crate) counted: Counted,
    pub(crate) agent: Arc<Agent>,
    pub(crate) policies: Policies,
    pub(crate) book: Book,
    /// What clients made of the models that the agent and its team name.
    pub(crate) named: Named,
    pub(crate) record: RunRecord,
    pub(crate) live: Arc<Activation>,
    /// Recorded and not yet appended.
    pub(crate) pending: Vec<Stamped>,
    /// Rows of the ledger that the pending events change.
    pub(crate) rows: Vec<LedgerRow>,
    /// What the client hears of the pending events.
    pub(crate) outs: Vec<Out>,
    /// What of them counts and is said once their commit has gone through.
    pub(crate) raised: Raised,
}

/// Events of a run are numbered from 1, in the order of its journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) events: u64,
    /// The number of the last that asked a model.
    pub(crate) asked: u64,
}

impl Counted {
    pub(crate) fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut counted = Counted::default();
        events.into_iter().for_each(|event| counted.count(event));
        counted
    }

    pub(crate) fn count(&mut self, event: &Event) {
        self.events += 1;
        if asks_a_model(event) {
            self.asked = self.events;
        }
    }
}

fn asks_a_model(event: &Event) -> bool {
    match event {
        Event::Within(within) => asks_a_model(&within.event),
        event => matches!(event, Event::Asked(Intent::AskModel(_))),
    }
}

/// Where in a tree of turns something happens: the tool uses that lead to a nested turn, none for
/// the run's own.
pub(crate) type Path = Vec<String>;

/// What is set for tools, by function and action: one map serves all agents of a tree.
#[derive(Default)]
pub(crate) struct Policies {
    set: BTreeMap<(String, String), Arc<ToolPolicy>>,
    unset: Arc<ToolPolicy>,
}

impl Policies {
    pub(crate) fn new(set: impl IntoIterator<Item = ((String, String), ToolPolicy)>) -> Self {
        let set = set.into_iter().map(|(key, policy)| (key, Arc::new(policy))).collect();
        Policies { set, unset: Arc::default() }
    }

    /// All that is set, as an event has it.
    pub(crate) fn set(&self) -> Vec<SetPolicy> {
        let set = |((function, action), policy): (&(String, String), &Arc<ToolPolicy>)| {
            let (function, action) = (function.clone(), action.clone());
            SetPolicy { function, action, policy: (**policy).clone() }
        };
        self.set.iter().map(set).collect()
    }

    /// What an event says is set from there on, if it is one that does.
    pub(crate) fn by(event: &Event) -> Option<Policies> {
        let set = match innermost(event) {
            (path, Event::Started(started)) if path.is_empty() => &started.policies,
            (_, Event::Resumed(resumed)) => &resumed.policies,
            _ => return None,
        };
        let key = |set: &SetPolicy| (set.function.clone(), set.action.clone());
        Some(Policies::new(set.iter().map(|set| (key(set), set.policy.clone()))))
    }

    /// What a run that is taken up again goes on with; `None` where its journal has nothing.
    pub(crate) fn recorded(events: &[Stamped]) -> Option<Policies> {
        let last = events.iter().rev().find_map(|stamped| Policies::by(&stamped.event));
        last.filter(|policies| !policies.set.is_empty())
    }

    pub(crate) fn of(&self, tool: &Tool) -> Arc<ToolPolicy> {
        let set = action(tool).and_then(|key| self.set.get(&key));
        set.unwrap_or(&self.unset).clone()
    }
}

impl Run {
    /// The session's key, which is also the name of the lane.
    pub(crate) fn session_key(&self) -> String {
        self.record.session_key()
    }

    /// Takes an event in: its view for the client, then its effect on the turn.
    pub(crate) fn record(&mut self, inner: &Inner, at: i64, event: Event) {
        let event = self.turn.named(event);
        self.book.follow(inner, &self.turn, &event);
        self.note(at, event);
    }

    /// The same of an event that budgets have counted already.
    pub(crate) fn note(&mut self, at: i64, event: Event) {
        self.outs.extend(trace::outs(&self.turn, &self.agent, &self.record, at, &event));
        let open = ledger::open_effects(&self.turn);
        state::apply(&mut self.turn, &event);
        self.rows.extend(ledger::rows_after(&self.record, &open, &self.turn, (at, &event)));
        self.counted.count(&event);
        self.pending.push(Stamped { at, event });
    }

    /// Decides until nothing more is to be decided now.
    pub(crate) fn decide(&mut self, inner: &Inner) {
        let standings = self.standings();
        let model = |call: &Call, others: &[String]| {
            budget::hold(inner, &standings, (call, NOTE_TOKENS), others)
        };
        let tool = |call: &ToolCall, attempts| budget::hold_tool(inner, &standings, call, attempts);
        let budget = turn::Budget { model: &model, tool: &tool };
        loop {
            let fresh_id = || inner.ids.fresh();
            let policy = |tool: &Tool| self.policies.of(tool);
            let window = |model: &str| inner.models.window(model);
            let provider = |model: &str| {
                let resolved = inner.models.resolve(model);
                resolved.map(|resolved| resolved.provider_name).unwrap_or_default()
            };
            let route = |known: Known<'_>| {
                let facts = Facts {
                    agent: &self.agent,
                    limits: &inner.turn,
                    fresh_id: &fresh_id,
                    policy: &policy,
                    window: inner.models.any_window().then_some(&window),
                    provider: &provider,
                    route: Some(known),
                    budget: (!self.book.is_free()).then_some(budget),
                    now: inner.clock.now(),
                };
                turn::decide(&self.turn, &facts)
            };
            let (restricted, named) = (self.is_restricted(), &self.named);
            let events = Chooser { inner, restricted, named }.with_known(route);
            if events.is_empty() {
                return;
            }
            let at = inner.clock.now();
            for event in events {
                self.trip(inner, &event);
                self.record(inner, at, event);
            }
        }
    }

    /// A batch that appends what is pending, with the rows of the ledger that follow from it.
    pub(crate) fn append(&mut self, inner: &Inner) -> Batch {
        let mut batch = Batch::new(&self.tenant, inner.clock.now());
        self.live.append(self.next);
        self.append_to(inner, &mut batch);
        batch
    }

    pub(crate) fn append_to(&mut self, inner: &Inner, batch: &mut Batch) {
        let events = std::mem::take(&mut self.pending);
        alert::of_events(inner, self, &events, batch);
        let payload = journal::encode(&events);
        batch.append(&self.id, self.next, self.epoch, journal::EVENTS, "agent", payload);
        ledger::write(batch, self.rows.drain(..));
        self.book.write(batch);
        self.next += 1;
    }

    /// The commit went through, or cannot be refused any more: from here on what it says is known.
    pub(crate) fn tell(&mut self, inner: &Inner) {
        std::mem::take(&mut self.raised).stands(inner, &self.tenant, &self.record.agent_id);
        for out in self.outs.drain(..) {
            self.live.push(out);
        }
    }

    /// The run's record as it is to stand in the store.
    pub(crate) fn summary(&self, status: RunStatus, ended_at: Option<i64>) -> RunRecord {
        self.record.of(&self.turn, status, ended_at)
    }
}

/// What is set for the tools of an agent and its collaborators.
pub(crate) async fn policies(
    inner: &Inner,
    tenant: &Tenant,
    agent: &Agent,
) -> Result<Policies, StoreError> {
    let (mut actions, mut own) = (BTreeSet::new(), Vec::new());
    let (mut seen, mut agents) = (BTreeSet::new(), vec![agent]);
    while let Some(agent) = agents.pop() {
        actions.extend(agent.tools.iter().filter_map(action));
        let set =
            |tool: &Tool| Some((action(tool)?, agent.config.policies.get(&tool.name)?.clone()));
        own.extend(agent.tools.iter().filter_map(set));
        // The same agent may stand at several places of a team.
        let fresh = agent.members.values().filter(|member| seen.insert(Arc::as_ptr(member).addr()));
        agents.extend(fresh.map(|member| &**member));
    }
    let mut policies = Policies::default();
    for key in actions {
        let set = inner.tools.policy(tenant, &key.0, &key.1).await?;
        if set != ToolPolicy::default() {
            policies.set.insert(key, Arc::new(set));
        }
    }
    policies.set.extend(own.into_iter().map(|(key, policy)| (key, Arc::new(policy))));
    Ok(policies)
}

/// The function behind a tool and what it is asked to do there.
pub(crate) fn action(tool: &Tool) -> Option<(String, String)> {
    let Executor::Lambda(function) = &tool.executor else { return None };
    Some((function.clone(), tool.target.action().to_owned()))
}

/// An event of a nested turn, with the path to it; any other is the run's own.
pub(crate) fn innermost(mut event: &Event) -> (Path, &Event) {
    let mut path = Path::new();
    while let Event::Within(within) = event {
        path.push(within.tool_use_id.clone());
        event = &within.event;
    }
    (path, event)
}

/// The intents among the pending events, each with the turn that has it.
pub(crate) fn intents(pending: &[Stamped]) -> Vec<(Path, Intent)> {
    let mut intents = Vec::new();
    for stamped in pending {
        let (path, event) = innermost(&stamped.event);
        if let Event::Asked(intent) = event {
            intents.push((path, intent.clone()));
        }
    }
    intents
}

/// A turn of the tree with the agent that works on it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) turn: &'a Turn,
    pub(crate) agent: &'a Arc<Agent>,
}

impl<'a> Place<'a> {
    /// The nested turn of one tool use.
    pub(crate) fn below(self, tool_use_id: &str) -> Option<Place<'a>> {
        let member = self.turn.team.members.get(tool_use_id)?;
        let agent = self.agent.members.get(&member.collaborator)?;
        Some(Place { turn: &member.turn, agent })
    }
}

impl Run {
    /// A call that goes round in a loop opens the breaker of its tool.
    fn trip(&self, inner: &Inner, event: &Event) {
        let (path, event) = innermost(event);
        let Event::Refused(refused) = event else { return };
        let place = self.place(&path).filter(|_| refused.reason == Refusal::ToolLoop);
        let tool = place.and_then(|place| {
            place.agent.tool(&place.turn.used(&refused.tool_use_id)?.tool_use.name)
        });
        let Some(tool) = tool else { return };
        let Executor::Lambda(function) = &tool.executor else { return };
        let (tenant, function) = (self.tenant.clone(), function.clone());
        let key = ToolKey { tenant, function, tool: tool.name.clone() };
        let now = inner.clock.now();
        inner.desk.of(&key, now).trip(&self.policies.of(tool), now);
    }

    /// A call of a model on the run's account.
    pub(crate) fn asking(&self, place: Place<'_>, ask: &Ask, mut call: Call) -> Asking {
        let accepted = self.turn.accepted.as_ref();
        let payer = Payer {
            run: Some(self.id.clone()),
            session: Some(self.session_key()),
            agent: Some(place.agent.config.agent_id.clone()),
            user: spend::named(spend::USER, &self.turn),
            customer: spend::named(spend::CUSTOMER, &self.turn),
            provisioned: accepted.and_then(|accepted| accepted.provisioned.clone()),
            held: ask.reserved.clone(),
        };
        let wishes = turn::wishes(place.turn, &place.agent.config);
        if wishes.restricted || self.is_restricted() {
            call.options.metadata.insert(DATA_CLASS.to_owned(), RESTRICTED.to_owned());
        }
        let (tenant, kind, route) = (self.tenant.clone(), ask.purpose.kind(), ask.route.clone());
        Asking { tenant, kind, payer, call, route }
    }

    /// Whether the data of the whole tree is for local models only.
    pub(crate) fn is_restricted(&self) -> bool {
        let said = turn::wishes(&self.turn, &self.agent.config).restricted;
        let inherited = self.turn.past.restricted || self.agent.restricted;
        said || inherited || self.named.any_restricted()
    }

    /// The turn at a path; `None` where there is none any more.
    pub(crate) fn place(&self, path: &[String]) -> Option<Place<'_>> {
        let root = Place { turn: &self.turn, agent: &self.agent };
        path.iter().try_fold(root, |place, id| place.below(id))
    }

    /// Gives a fresh activation what the client heard of the stretch before a crash.
    pub(crate) fn hear_again(&mut self, events: &[Stamped]) {
        for out in trace::open_stretch(events, &self.agent, &self.record) {
            self.live.push(out);
        }
    }
}
