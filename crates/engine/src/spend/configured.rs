//! What a turn costs by its agent's configuration alone: the least, what is likely, and the most that
//! steps, stages, collaborators, attempts, tools and what is remembered allow.
//!
//! INVARIANT: the most is a bound. Where something has no limit of its own it counts as all that a
//! model reads in one call; where budgets have caps, no turn passes them. What it takes as given is
//! told with it ([`assumed`]).

use std::collections::BTreeMap;
use std::sync::Mutex;

use craton_core::agent::call;
use craton_core::agent::config::{Collaboration, Executor, Stage};
use craton_core::agent::event::{Accepted, Event, Purpose, Started};
use craton_core::agent::prompt;
use craton_core::agent::state::Turn;
use craton_core::agent::tool::Tool;
use craton_core::agent::turn::Agent;
use craton_core::budget::caps::{Most, lower};
use craton_core::budget::{Scope, Unit};
use craton_core::cost::Money;
use craton_core::limits::OUTPUT_TOKENS;
use llm::measure;
use store::{StoreError, Tenant};
use wire::converse::Call;

use super::offers::{Offers, Size, millis, tokens_set};
use super::work::Work;
use crate::model::{ATTEMPTS, Named};
use crate::run::{self, Policies};
use crate::{Inner, function, limits};

/// JSON within JSON: each quote and each line's end is two bytes.
const ESCAPED: u64 = 2;
/// What surrounds one use of a tool and its result in a call.
const FRAME: u64 = 512;
/// A use that is refused, with the words that say why.
const REFUSED: u64 = craton_core::limits::TOOL_ERROR_CHARS as u64 + FRAME;
/// A use of a tool takes as many tokens of a reply at least.
const USE_TOKENS: u64 = 4;
/// What has no bound of its own; a model's window is one.
const UNBOUNDED: u64 = 1 << 40;
/// What a step is likely to say, and to get from a tool.
const LIKELY_TOKENS: u64 = 512;
const LIKELY_ANSWER: u64 = 2_000;
const BYTES_PER_TOKEN: u64 = 4;

/// A turn, foreseen by configuration alone.
pub(super) struct Foreseen {
    pub(super) least: Work,
    pub(super) likely: Work,
    pub(super) most: Work,
    pub(super) assumed: Vec<String>,
}

/// A function, as far as it bounds what a call of it takes.
#[derive(Clone, Copy)]
struct Runs {
    seconds: f64,
    memory_mb: u32,
}

/// Turns that were bounded already, by their agent and the length of what it is asked.
type Seen = BTreeMap<(usize, u64), Work>;

/// A call of one stage, bounded but for what it reads of the conversation.
struct Ask<'a> {
    own: u64,
    says: u64,
    /// The cap of a call, in tokens.
    cap: Option<u64>,
    offers: Offers<'a>,
    parsed: Work,
}

/// What is known before a turn begins.
struct Known<'a> {
    inner: &'a Inner,
    named: Named,
    policies: Policies,
    functions: BTreeMap<String, Runs>,
    caps: Vec<Most>,
    question: &'a str,
    seen: Mutex<Seen>,
}

/// Of a turn that an agent with this configuration would begin now.
pub(super) async fn foresee(
    inner: &Inner,
    tenant: &Tenant,
    agent: &Agent,
    input: &str,
) -> Result<Foreseen, StoreError> {
    let known = Known {
        inner,
        named: Named::of(inner, tenant, agent).await,
        policies: run::policies(inner, tenant, agent).await?,
        functions: functions(inner, tenant, agent).await?,
        caps: lower(inner.budgets.caps(), &agent.config.budgets),
        question: input,
        seen: Mutex::default(),
    };
    let asks = match input.len() as u64 {
        0 => limits::QUESTION_FORESEEN,
        given => given,
    };
    let own = known.turn_at_most(agent, asks);
    let summary = known.summary_at_most(agent, asks);
    let (most, cap) = known.capped(own);
    let most = most.and(known.capped(summary).0);
    let assumed = assumed(input, asks, cap);
    Ok(Foreseen { least: known.least(agent), likely: known.likely(agent, asks), most, assumed })
}

/// What the functions of a tree allow, by their references.
async fn functions(
    inner: &Inner,
    tenant: &Tenant,
    agent: &Agent,
) -> Result<BTreeMap<String, Runs>, StoreError> {
    let mut found = BTreeMap::new();
    let mut agents = vec![agent];
    while let Some(agent) = agents.pop() {
        let targets = agent.tools.iter().filter_map(|tool| match &tool.executor {
            Executor::Lambda(target) => Some(target),
            Executor::ReturnControl => None,
        });
        for target in targets.chain(&agent.config.parser) {
            if !found.contains_key(target) {
                found.insert(target.clone(), runs(inner, tenant, target).await?);
            }
        }
        agents.extend(agent.members.values().map(|member| &**member));
    }
    Ok(found)
}

async fn runs(inner: &Inner, tenant: &Tenant, target: &str) -> Result<Runs, StoreError> {
    let memory_mb = inner.tools.memory_mb(tenant, target).await;
    let seconds = match inner.tools.patience(target) {
        Some(patience) => patience.as_secs_f64(),
        None => function::find(&inner.store, tenant, target)
            .await?
            .map_or(limits::FUNCTION_SECONDS as f64, |one| f64::from(one.value.timeout_seconds)),
    };
    Ok(Runs { seconds, memory_mb })
}

/// The call by which a turn with this question would begin, and the same of its other stages.
pub(super) fn first_call(agent: &Agent, input: &str, purpose: Purpose) -> Call {
    let system = prompt::system(&agent.config, &BTreeMap::new(), &Vec::<String>::new());
    let accepted = Accepted { input_text: input.to_owned(), ..Accepted::default() };
    let begun = [
        Event::Accepted(Box::new(accepted)),
        Event::Started(Box::new(Started { system, ..Started::default() })),
    ];
    call::model_call(&Turn::replay(&begun), agent, purpose)
}

impl Known<'_> {
    /// One turn, with all that it may delegate. An agent may stand at several places of a team.
    fn turn_at_most(&self, agent: &Agent, asks: u64) -> Work {
        let key = (std::ptr::from_ref(agent).addr(), asks);
        let found = |seen: &Seen| seen.get(&key).copied();
        let locked = || self.seen.lock().expect("no holder of this lock panics");
        if let Some(work) = found(&locked()) {
            return work;
        }
        let member = self.member_at_most(agent);
        let (each, adds) = self.step_at_most(agent, member);
        let steps = self.steps(agent);
        let before = (self.remembered(agent, asks, adds) + asks).saturating_mul(ESCAPED);
        let at = |step: u64| before.saturating_add(adds.saturating_mul(step));
        let plan = self.ask(agent, Purpose::Plan);
        let mut all = (0..steps).map(|step| plan.at_most(at(step))).fold(Work::NONE, Work::and);
        for (purpose, when) in stages(agent) {
            let after = if when == At::End { steps } else { 0 };
            all = all.and(self.ask(agent, purpose).at_most(at(after)));
        }
        if routes(agent) {
            all = all.and(member);
        }
        let remembers = agent.config.memory.is_some();
        let search = if remembers { self.inner.prices.rates.memory_search } else { Money::ZERO };
        let uses = self.inner.turn.tool_uses as u64;
        let all = all.and(each.times(steps.saturating_mul(uses)));
        let all = all.and(Work { beside: search, ..Work::NONE });
        locked().insert(key, all);
        all
    }

    /// A model that is offered no tools uses none: what it says is the answer.
    fn steps(&self, agent: &Agent) -> u64 {
        match agent.model_tools.is_empty() {
            true => 1,
            false => u64::from(self.inner.turn.model_calls),
        }
    }

    /// What one use of a tool comes to, and the bytes that a step adds for those after it.
    fn step_at_most(&self, agent: &Agent, member: Work) -> (Work, u64) {
        let says = self.says(agent, Purpose::Plan);
        let spoken = says.saturating_mul(limits::LONG_TOKEN_BYTES);
        if agent.model_tools.is_empty() {
            return (Work::NONE, spoken);
        }
        let tools = agent.tools.iter().map(|tool| self.tool_at_most(tool));
        let (mut each, mut answer) = tools
            .fold((Work::NONE, 0), |(work, bytes), (one, most)| (work.max(one), bytes.max(most)));
        if !agent.members.is_empty() {
            each = each.max(member);
            let of = |member: &Agent| {
                let last = [Purpose::Plan, Purpose::PostProcess];
                last.map(|purpose| self.says(member, purpose)).into_iter().max().unwrap_or_default()
            };
            let longest = agent.members.values().map(|member| of(member)).max();
            answer = answer.max(longest.unwrap_or_default() * limits::LONG_TOKEN_BYTES);
        }
        let uses = self.inner.turn.tool_uses as u64;
        let results = (answer.saturating_mul(ESCAPED) + FRAME).saturating_mul(uses);
        let refused = says / USE_TOKENS * REFUSED;
        (each, spoken.saturating_mul(ESCAPED).saturating_add(results).saturating_add(refused))
    }

    /// The dearest of a supervisor's collaborators, whatever it is asked.
    fn member_at_most(&self, agent: &Agent) -> Work {
        let asks = self.says(agent, Purpose::Plan).saturating_mul(limits::LONG_TOKEN_BYTES);
        let asks = asks.max(limits::QUESTION_FORESEEN).max(self.question.len() as u64);
        let members = agent.config.collaborators.iter().filter_map(|one| {
            let asks = if one.relay { UNBOUNDED } else { asks };
            Some(self.turn_at_most(agent.members.get(&one.name)?, asks))
        });
        members.fold(Work::NONE, Work::max)
    }

    fn tool_at_most(&self, tool: &Tool) -> (Work, u64) {
        let Executor::Lambda(target) = &tool.executor else { return (Work::NONE, UNBOUNDED) };
        let policy = self.policies.of(tool);
        let retry = policy.retry.unwrap_or_default();
        let probes = if policy.probe.is_some() { ATTEMPTS } else { 0 };
        let attempts = retry.attempts + u32::from(policy.fallback.is_some()) + probes;
        let runs = self.functions.get(target).copied();
        let runs = runs.unwrap_or(Runs { seconds: limits::FUNCTION_SECONDS as f64, memory_mb: 0 });
        let seconds = policy.timeout_seconds.unwrap_or(runs.seconds);
        // Before each attempt it may wait for its turn as long as it may take.
        let each = seconds + seconds.max(limits::PLACE_PATIENCE.as_secs_f64()) + retry.max_seconds;
        let millis = millis(each * f64::from(attempts));
        let rates = &self.inner.prices.rates;
        let work = Work {
            tools: rates.tool(attempts, 0, 0),
            beside: rates.tool(0, millis, runs.memory_mb),
            millis,
            ..Work::NONE
        };
        let most = self.inner.turn.tool_answer_bytes;
        (work, policy.result_bytes.map_or(most, |bytes| bytes.min(most)) as u64)
    }

    /// The function that reads a stage's reply.
    fn parsed(&self, agent: &Agent, stage: Stage) -> Work {
        let runs = agent.parser(stage).and_then(|target| self.functions.get(target));
        let Some(runs) = runs else { return Work::NONE };
        let millis = millis((runs.seconds + 1.0) * f64::from(ATTEMPTS));
        let beside = self.inner.prices.rates.tool(ATTEMPTS, millis, runs.memory_mb);
        Work { beside, millis, ..Work::NONE }
    }

    /// A stage of an agent, ready to be asked for.
    fn ask(&self, agent: &Agent, purpose: Purpose) -> Ask<'_> {
        let cap = self.cap(Scope::Call, Unit::Tokens);
        Ask {
            own: measure::input(&first_call(agent, "", purpose)).most,
            says: self.says(agent, purpose),
            cap: cap.map(|cap| u64::try_from(cap).unwrap_or(u64::MAX)),
            offers: Offers::of(self.inner, &self.named, (agent, purpose), self.question),
            parsed: self.parsed(agent, purpose.stage()),
        }
    }

    /// The longest reply of a stage.
    fn says(&self, agent: &Agent, purpose: Purpose) -> u64 {
        let stage = agent.stage(purpose.stage());
        let set = stage.and_then(|stage| stage.inference.as_ref()?.max_tokens).map(u64::from);
        let more = stage.map_or(0, |stage| tokens_set("", &stage.additional));
        let unset = match self.caps.is_empty() {
            true => limits::REPLY_TOKENS,
            false => u64::from(OUTPUT_TOKENS),
        };
        set.unwrap_or(unset).saturating_add(more)
    }

    /// Bytes of the session and of the memory that a call reads: what is kept, and always the last
    /// exchange, however long it is.
    fn remembered(&self, agent: &Agent, asks: u64, adds: u64) -> u64 {
        let retention = agent.config.retention.or(&self.inner.sessions);
        let kept = retention.tokens.map_or(UNBOUNDED, |kept| u64::from(kept) * BYTES_PER_TOKEN);
        let last = asks.saturating_add(adds.saturating_mul(self.steps(agent)));
        let summaries = agent.config.memory.as_ref().map_or(0, |memory| {
            let each = self.says(agent, Purpose::Summarize) * limits::LONG_TOKEN_BYTES;
            each.saturating_mul(u64::from(memory.max_recent_sessions))
        });
        kept.max(last).saturating_add(summaries)
    }

    /// What sums the session up once it is over.
    fn summary_at_most(&self, agent: &Agent, asks: u64) -> Work {
        if agent.config.memory.is_none() || !agent.runs(Stage::MemorySummarization) {
            return Work::NONE;
        }
        let (_, adds) = self.step_at_most(agent, Work::NONE);
        let read = self.remembered(agent, asks, adds).saturating_mul(ESCAPED);
        let call = self.ask(agent, Purpose::Summarize).at_most(read);
        call.and(Work { beside: self.inner.prices.rates.memory_store, ..Work::NONE })
    }

    fn cap(&self, scope: Scope, unit: Unit) -> Option<i64> {
        let of = |most: &&Most| most.scope == scope && most.unit == unit && most.per.is_none();
        self.caps.iter().filter(of).map(|most| most.amount).min()
    }

    /// The same within the caps that no turn passes, and the one that counts. Those of a day or a month
    /// begin anew while a turn waits.
    fn capped(&self, work: Work) -> (Work, Option<&Most>) {
        let lasting = self.caps.iter().filter(|one| one.scope != Scope::Call && one.per.is_none());
        let least = |unit| lasting.clone().filter(|m| m.unit == unit).min_by_key(|m| m.amount);
        let (tokens, cost) = (least(Unit::Tokens), least(Unit::Cost));
        let mut capped = work;
        if let Some(most) = tokens {
            capped.tokens = capped.tokens.min(u64::try_from(most.amount).unwrap_or(0));
        }
        let held = work.models.map(|models| models + work.tools);
        let cost = cost.filter(|most| held.is_some_and(|held| held.0 > most.amount));
        if let Some(most) = cost {
            (capped.models, capped.tools) = (Some(Money(most.amount)), Money::ZERO);
        }
        (capped, cost)
    }

    /// The first call and no more: it may end the turn.
    fn least(&self, agent: &Agent) -> Work {
        let first = stages(agent).into_iter().find(|(_, at)| *at == At::Begin);
        let purpose = first.map_or(Purpose::Plan, |(purpose, _)| purpose);
        let call = first_call(agent, "", purpose);
        let bytes = text(&call);
        Offers::of(self.inner, &self.named, (agent, purpose), self.question).least(bytes)
    }

    /// Each stage once; a tool or a collaborator once, where there are any.
    fn likely(&self, agent: &Agent, asks: u64) -> Work {
        let call = |purpose: Purpose, adds: u64| {
            let says = (self.says(agent, purpose) / 2).min(LIKELY_TOKENS);
            let read = text(&first_call(agent, "", purpose)) + asks + adds;
            let offers = Offers::of(self.inner, &self.named, (agent, purpose), self.question);
            offers.likely(read / BYTES_PER_TOKEN, says)
        };
        let answer = LIKELY_TOKENS * BYTES_PER_TOKEN + LIKELY_ANSWER;
        let mut all = call(Purpose::Plan, 0);
        for (purpose, _) in stages(agent) {
            all = all.and(call(purpose, 0));
        }
        if let Some(member) = agent.members.values().next() {
            return all.and(self.likely(member, asks)).and(call(Purpose::Plan, answer));
        }
        if agent.tools.is_empty() {
            return all;
        }
        let tools = self.inner.prices.rates.tool(1, 0, 0);
        let tool = Work { tools, millis: limits::TOOL_MILLIS, ..Work::NONE };
        all.and(tool).and(call(Purpose::Plan, answer))
    }
}

impl Ask<'_> {
    /// One call that reads so many bytes besides its own prompt, and the reading of its reply.
    fn at_most(&self, bytes: u64) -> Work {
        let mut size = Size { bytes: self.own.saturating_add(bytes), says: self.says };
        if let Some(cap) = self.cap {
            // The cap of a call judges its input by an estimate.
            size.bytes = size.bytes.min(cap.saturating_mul(BYTES_PER_TOKEN));
            size.says = size.says.min(cap);
        }
        self.offers.most(size).and(self.parsed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Begin,
    End,
}

/// The stages around the steps of a turn.
fn stages(agent: &Agent) -> Vec<(Purpose, At)> {
    let mut found = Vec::new();
    if agent.runs(Stage::PreProcessing) {
        found.push((Purpose::PreProcess, At::Begin));
    }
    if routes(agent) {
        found.push((Purpose::Route, At::Begin));
    }
    if agent.runs(Stage::PostProcessing) {
        found.push((Purpose::PostProcess, At::End));
    }
    found
}

fn routes(agent: &Agent) -> bool {
    agent.config.collaboration == Collaboration::SupervisorRouter
        && agent.messenger.is_some()
        && agent.runs(Stage::RoutingClassifier)
}

/// Bytes of what a call says, without what it is wrapped in.
fn text(call: &Call) -> u64 {
    let system: usize = call.system.iter().map(String::len).sum();
    let tools = call
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.schema.to_string().len());
    (system + tools.sum::<usize>()) as u64
}

/// What was taken as given, for whoever reads the numbers.
fn assumed(input: &str, asks: u64, cap: Option<&Most>) -> Vec<String> {
    let mut assumed = Vec::new();
    if input.is_empty() {
        assumed.push(format!("a question of {asks} bytes; say yours by --input"));
    }
    assumed.push(
        "a turn without files, session attributes and wishes of its client; what comes from \
         outside is no longer than models read"
            .to_owned(),
    );
    assumed.push(match cap {
        Some(most) => format!(
            "the highest cost is the cap of its {}, {}, and what no budget counts",
            most.scope.word(),
            most.unit.show(most.amount)
        ),
        None => "the highest has every step, attempt, stand-in and collaborator that is allowed, \
                 at a token for each byte; caps of budgets lower it"
            .to_owned(),
    });
    assumed.push(format!(
        "time: {} s until a model begins and {} tokens a second where it is likely, every time-out \
         used up where it is highest; people, clients and pending results are not waited for",
        limits::FIRST_TOKEN_MILLIS / 1_000,
        limits::TOKENS_PER_SECOND
    ));
    assumed
}
