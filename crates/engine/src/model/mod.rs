//! Every call of a model, whoever needs it: a step of a turn, or a client that asks directly.
//!
//! An [`Asking`] is performed whole ([`hear`]) or as a stream ([`Engine::stream_model`]). Both ask
//! again while nothing was heard and another attempt may do better. What was ruled on the way comes
//! back as [`ModelConduct`]; a turn records it with the outcome. Whoever pays is asked before the
//! first attempt and told once how it ended ([`account`]).

pub mod config;

pub(crate) mod account;
mod cache;
mod chain;
mod choice;
mod doors;
mod gate;
mod hedge;
mod other;
pub(crate) mod retry;
pub(crate) mod route;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::event::{ModelConduct, Wasted};
use craton_core::budget::Reserved;
use craton_core::cost::Money;
use craton_core::route::{DATA_CLASS, RESTRICTED, Route, StepKind, Table};
use futures_util::{StreamExt as _, stream};
use llm::{Collect, Deltas, ModelError, Models, Resolved};
use store::Tenant;
use wire::converse::{Call, Delta, Reply};

use crate::alert::Who;
use crate::spend::Line;
use crate::{Engine, Inner};
use account::{Account, Bearer, How};
use cache::{Answers, Kept};
use chain::{Bounds, Chain};
use choice::Chosen;
use doors::Doors;
use stored::What;

pub use choice::Choice;
pub use config::Config;
pub use doors::ProviderView;
pub use other::{Counted, Embedding};
pub use stored::{InferenceProfile, PROFILE, PromptRouter, ROUTER};
pub(crate) use stored::{Named, copy, resolve};
/// Attempts of a parser function's call, and the longest pause before the second.
pub(crate) const ATTEMPTS: u32 = 3;
const LONGEST_FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What stands between whoever asks and the models.
pub(crate) struct Gateway {
    pub(crate) doors: Doors,
    /// Whether there is a `[routing]`, and what it says.
    pub(crate) on: bool,
    pub(crate) table: Table,
    answers: Answers,
}

impl Gateway {
    pub(crate) fn open(config: Config, models: &Models) -> Gateway {
        Gateway {
            doors: Doors::open(config.rates, models),
            on: config.routing.is_some(),
            table: route::table(config.routing, models),
            answers: Answers::new(config.cache),
        }
    }
}

/// One call to a model, and on whose account.
#[derive(Debug, Clone)]
pub struct Asking {
    pub tenant: Tenant,
    pub kind: StepKind,
    pub payer: Payer,
    pub call: Call,
    /// Who is asked when the call's model does not answer, where that is decided already.
    pub route: Option<Box<Route>>,
}

/// Who spends, besides the tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payer {
    /// The run at the root of the tree.
    pub run: Option<String>,
    pub session: Option<String>,
    pub agent: Option<String>,
    /// The end user, as the client names him.
    pub user: Option<String>,
    /// The provisioned throughput of the alias that was invoked.
    pub provisioned: Option<String>,
    /// Whose user that is, as the client names it: a tenant of its own.
    pub customer: Option<String>,
    /// What its run holds back for the call.
    pub held: Option<Box<Reserved>>,
}

impl Payer {
    /// Whose tokens a direct call of a model counts among.
    pub(crate) fn who<'a>(&'a self, model: &'a str) -> Who<'a> {
        match (&self.agent, &self.user) {
            (Some(agent), _) => Who::Agent(agent),
            (None, Some(user)) => Who::User(user),
            (None, None) => Who::Model(model),
        }
    }
}

/// A whole reply, and how it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub provider: String,
    pub model: String,
    pub choice: Choice,
    pub reply: Reply,
    pub conduct: ModelConduct,
    /// By the price file; `None` where no price is known.
    pub cost: Option<Money>,
}

/// A reply under way: the first of its deltas has come.
pub struct Answering {
    pub provider: String,
    pub model: String,
    pub choice: Choice,
    pub deltas: Deltas,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) provider: String,
    pub(crate) error: ModelError,
    /// Somebody heard the beginning of it.
    pub(crate) heard: bool,
    /// Attempts that may be billed.
    pub(crate) wasted: Vec<Wasted>,
}

impl Engine {
    /// A whole reply.
    pub async fn ask_model(&self, asking: Asking) -> Result<Answer, ModelError> {
        hear(&self.0, asking, &mut Nobody).await.map_err(|unanswered| unanswered.error)
    }

    /// A reply as it comes. A failure before its first delta is asked again in here; one after it
    /// comes through the stream.
    pub async fn stream_model(&self, asking: Asking) -> Result<Answering, ModelError> {
        let inner = &self.0;
        let mut way = Way::begin(inner, asking).await?;
        if let Some(kept) = way.kept(inner) {
            let Kept { provider, model, reply } = kept;
            let deltas = stream::iter(llm::deltas(reply, 0).into_iter().map(Ok)).boxed();
            let choice = way.choice();
            way.account.settle(How::Answered);
            return Ok(Answering { provider, model, choice, deltas });
        }
        let mut waiting = Waiting(Some(way));
        let begun = open(inner, waiting.way()).await;
        let Way { account, call, mut chosen, .. } = waiting.over();
        match begun {
            Ok((delta, deltas)) => {
                let (provider, model) = (account.provider.clone(), account.model.clone());
                let choice = choice(&account, &mut chosen);
                let deltas = account.follow(call, delta, deltas);
                Ok(Answering { provider, model, choice, deltas })
            }
            Err(error) => {
                account.settle(How::Failed);
                Err(error)
            }
        }
    }
}

/// Asks until a reply begins or no further attempt is to be made.
async fn open(inner: &Inner, way: &mut Way) -> Result<chain::Begun, ModelError> {
    let Way { account, chain, call, .. } = way;
    loop {
        match chain.open(inner, account, call).await {
            Ok(begun) => return Ok(begun),
            Err(error) => chain.go_on(inner, account, call, error).await?,
        }
    }
}

/// An asking under way: who pays, whom it asks, and what.
struct Way {
    account: Account,
    chain: Chain,
    call: Call,
    /// What its answer is kept under, if answers are.
    key: Option<cache::Key>,
    /// Where it was routed here and not by the turn that it is of.
    chosen: Option<Chosen>,
}

impl Way {
    async fn begin(inner: &Arc<Inner>, asking: Asking) -> Result<Way, ModelError> {
        let Asking { tenant, kind, payer, mut call, route } = asking;
        let provisioned = provisioned(inner, &payer, &call);
        let made = stored::made(&inner.store, &tenant, &call.model).await?;
        if made.as_ref().is_some_and(|made| made.restricted) {
            call.options.metadata.insert(DATA_CLASS.to_owned(), RESTRICTED.to_owned());
        }
        let chosen = match (&route, made.map(|made| made.what)) {
            (Some(_), _) => None,
            (None, Some(What::Router(router))) => {
                let route = Box::new(route::by_router(inner, &router, kind, &call));
                Some(Chosen { route, by_router: true })
            }
            (None, made) => {
                if let Some(What::Model(model)) = made {
                    call.model = model;
                }
                let direct = payer.run.is_none();
                let route = direct.then(|| route::direct(inner, kind, &payer, &call)).flatten();
                route.map(|route| Chosen { route: Box::new(route), by_router: false })
            }
        };
        let route = route.as_deref().or(chosen.as_ref().map(|chosen| &*chosen.route));
        let (first, stand_ins) = links(inner, &tenant, &mut call, route).await?;
        let restricted = route::restricted(&call);
        let key = inner.gateway.answers.key(&tenant, restricted, &call);
        let bearer = Bearer { tenant, kind, payer, line: Line::Model };
        let (tokens, now) = (|| chain::estimate(&call), || inner.clock.now());
        let paid = doors::enter_payer(&inner.gateway.doors, &bearer, tokens, now).await?;
        let account = Account::admit(inner, bearer, &mut call, &stand_ins, paid).await?;
        let chain = Chain::new(first, stand_ins, Bounds { restricted, provisioned }, &call);
        Ok(Way { account, chain, call, key, chosen })
    }

    fn choice(&mut self) -> Choice {
        choice(&self.account, &mut self.chosen)
    }

    /// The answer of an earlier, equal call.
    fn kept(&mut self, inner: &Inner) -> Option<Kept> {
        let found = inner.gateway.answers.find(self.key.as_ref()?, inner.clock.now())?;
        self.account.conduct.cached = true;
        Some(found)
    }
}

fn choice(account: &Account, chosen: &mut Option<Chosen>) -> Choice {
    Choice::new(chosen.take(), account.id.clone(), account.conduct.passed.clone())
}

/// Makes the call one of the model to ask, says who that is if it is known here, and who stands in.
async fn links(
    inner: &Inner,
    tenant: &Tenant,
    call: &mut Call,
    route: Option<&Route>,
) -> Result<(Option<Resolved>, Vec<String>), ModelError> {
    let Some(route) = route else {
        let resolved = inner.models.resolve(&call.model).ok();
        let rule = resolved.as_ref().and_then(|resolved| resolved.rule.as_ref());
        let stand_ins = rule.map(|(_, rule)| rule.fallback.clone()).unwrap_or_default();
        return Ok((resolved, stand_ins));
    };
    call.model.clone_from(&route.model);
    let mut fallbacks = route.fallbacks.clone();
    for link in std::iter::once(&mut call.model).chain(&mut fallbacks) {
        if let Some(model) = stored::behind(&inner.store, tenant, link).await? {
            *link = model;
        }
    }
    Ok((None, fallbacks))
}

/// Who follows a reply while it is made.
pub(crate) trait Listener: Send {
    /// An attempt begins. Nobody heard anything of those before it, and nothing of them counts.
    fn begin(&mut self);
    /// Whether anybody heard something of it.
    fn hear(&mut self, delta: &Delta) -> bool;
}

struct Nobody;

impl Listener for Nobody {
    fn begin(&mut self) {}

    fn hear(&mut self, _: &Delta) -> bool {
        false
    }
}

/// A whole reply, which `listener` follows.
pub(crate) async fn hear(
    inner: &Arc<Inner>,
    asking: Asking,
    listener: &mut dyn Listener,
) -> Result<Answer, Unanswered> {
    let (provider, wasted) = (String::new(), Vec::new());
    let refused = |error| Unanswered { provider, error, heard: false, wasted };
    let mut way = Way::begin(inner, asking).await.map_err(refused)?;
    if let Some(Kept { provider, model, reply }) = way.kept(inner) {
        for delta in llm::deltas(reply.clone(), 0) {
            listener.hear(&delta);
        }
        let (choice, conduct) = (way.choice(), way.account.conduct.clone());
        let cost = way.account.settle(How::Answered);
        return Ok(Answer { provider, model, choice, reply, conduct, cost });
    }
    let mut heard = false;
    let mut waiting = Waiting(Some(way));
    let whole = whole(inner, waiting.way(), (listener, &mut heard)).await;
    let Way { account, key, call, mut chosen, .. } = waiting.over();
    let (provider, model) = (account.provider.clone(), account.model.clone());
    match whole {
        Ok(reply) => {
            // Another model's answer is not kept as this one's, and what is no answer not at all.
            let is_its_own = account.conduct.passed.is_empty() && !reply.stop_reason.is_malformed();
            if let Some(key) = key.filter(|_| is_its_own) {
                let kept =
                    Kept { provider: provider.clone(), model: model.clone(), reply: reply.clone() };
                inner.gateway.answers.keep(key, kept, inner.clock.now());
            }
            let choice = choice(&account, &mut chosen);
            let conduct = account.conduct.clone();
            let cost = account.answered(&call);
            Ok(Answer { provider, model, choice, reply, conduct, cost })
        }
        Err(error) => {
            let wasted = account.conduct.wasted.clone();
            account.settle(How::Failed);
            Err(Unanswered { provider, error, heard, wasted })
        }
    }
}

/// Whoever waits for an answer; if he leaves before it, what was asked may be billed all the same.
struct Waiting(Option<Way>);

impl Waiting {
    fn way(&mut self) -> &mut Way {
        self.0.as_mut().expect("it is there until the waiting is over")
    }

    fn over(mut self) -> Way {
        self.0.take().expect("it is over once")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(Way { account, call, .. }) = &mut self.0 {
            account.abandon(call);
        }
    }
}

async fn whole(
    inner: &Inner,
    way: &mut Way,
    (listener, heard): (&mut dyn Listener, &mut bool),
) -> Result<Reply, ModelError> {
    let Way { account, chain, call, .. } = way;
    loop {
        let error = match chain.open(inner, account, call).await {
            Ok(begun) => {
                let mut heard_out = listen(begun, (listener, heard), account).await;
                // A client of its own hears that the model failed; a turn has nothing to go on with.
                if account.bearer.payer.run.is_some() {
                    heard_out = heard_out.and_then(well_formed);
                }
                account.went(heard_out.as_ref().err());
                match heard_out {
                    Ok(reply) => return Ok(reply),
                    Err(error) => {
                        account.under_way = 0;
                        account.waste(call);
                        if *heard {
                            return Err(error);
                        }
                        error
                    }
                }
            }
            Err(error) => error,
        };
        chain.go_on(inner, account, call, error).await?;
    }
}

fn well_formed(reply: Reply) -> Result<Reply, ModelError> {
    match reply.stop_reason.is_malformed() {
        true => Err(ModelError::gave_up(reply.stop_reason)),
        false => Ok(reply),
    }
}

async fn listen(
    (first, rest): chain::Begun,
    (listener, heard): (&mut dyn Listener, &mut bool),
    account: &mut Account,
) -> Result<Reply, ModelError> {
    let mut deltas = stream::iter(first.map(Ok)).chain(rest);
    let mut collect = Collect::default();
    listener.begin();
    while let Some(delta) = deltas.next().await {
        let delta = delta?;
        *heard |= listener.hear(&delta);
        account.hear(&delta);
        collect.absorb(delta);
    }
    collect.finish()
}

/// The provisioned throughput that a call counts in: its run's, or the model that it names.
fn provisioned(inner: &Inner, payer: &Payer, call: &Call) -> Option<String> {
    let known = &inner.gateway.doors.rates.provisioned;
    let named = payer.provisioned.as_ref().unwrap_or(&call.model);
    known.contains_key(named).then(|| named.clone())
}

/// Full jitter: any length up to one that doubles, so that clients that failed together do not
/// come back together.
pub(crate) async fn pause(inner: &Inner, attempt: u32) {
    let longest = LONGEST_FIRST_PAUSE * 2u32.pow(attempt - 1);
    let part = (inner.ids.draw() >> 32) as f64 / f64::from(u32::MAX);
    tokio::time::sleep(longest.mul_f64(part)).await;
}
