//! Crowds drawn from a seed: who asks, under which caps, and how each request to a provider goes. No
//! counter passes its cap, what was really used is booked, and in the end nothing is held back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use craton_core::budget::caps::{Most, Period};
use craton_core::budget::{Scope, Unit};
use craton_core::cost::{Money, Prices};
use futures_util::future::BoxFuture;
use futures_util::stream;
use llm::{Deltas, ModelError, ModelErrorKind, Provider, measure};
use wire::converse::{Call, Delta, Usage};

use super::budgets::asking;
use super::*;
use crate::budget::Book;
use crate::model::{Asking, Payer};
use crate::sim::Dice;
use crate::sim::world::Mishap;

/// Tokens and picodollars.
#[derive(Debug, Clone, Copy, Default)]
struct Used(i64, i64);

impl Used {
    /// At ten dollars for a million tokens that are read, or twice that where nobody knows how they
    /// were read, and fifty for those that are written.
    fn of(input: u64, output: u64, per_input: i64) -> Used {
        let (input, output) = (input as i64, output as i64);
        Used(input + output, (input * per_input + output * 50) * 1_000_000)
    }

    fn and(self, more: Used) -> Used {
        Used(self.0 + more.0, self.1 + more.1)
    }

    fn in_unit(self, unit: Unit) -> i64 {
        match unit {
            Unit::Tokens => self.0,
            Unit::Cost => self.1,
        }
    }
}

const TOOL_CALL: Money = Money(Money::DOLLAR.0 / 20);

fn prices() -> Prices {
    let file = "as_of = \"2026-01-01\"\n[[models]]\nmatch = \"*\"\ninput = 10\noutput = 50\n\
                [tool]\ncall = 0.05\n";
    Prices::none().over(file).expect("a price file")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    Free,
    Counted,
    Uncounted,
}

/// One request, as its provider knows it.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    client: usize,
    /// The most that it can read and write.
    bound: u64,
    cap: u64,
    input: u64,
    output: u64,
    state: State,
}

impl Attempt {
    fn really(&self) -> Used {
        match self.state {
            State::Free => Used::default(),
            _ => Used::of(self.input, self.output, 10),
        }
    }

    /// What is to be booked for it; `heard` are the bytes of its answer that its client heard and left.
    fn books(&self, heard: Option<u64>) -> Used {
        match (self.state, heard) {
            (State::Free | State::Counted, _) => self.really(),
            (State::UnderWay, Some(heard)) => Used::of(self.bound, heard.min(self.cap), 20),
            (State::UnderWay | State::Uncounted, _) => Used::of(self.bound, self.cap, 20),
        }
    }
}

/// How a request goes.
#[derive(Debug, Clone, Copy)]
enum Goes {
    Well,
    Uncounted,
    Refused(ModelErrorKind),
    Lost(ModelErrorKind),
    /// After a few words, and perhaps a count.
    BreaksOff(bool),
}

/// A provider that never uses more than it is given, and draws how much less.
struct Drawn {
    dice: Mutex<Dice>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    /// What direct calls can read.
    bounds: Mutex<BTreeMap<usize, u64>>,
}

/// How many letters a direct call hears at once, each of them a token.
const PIECE: usize = 4;
const WORDS: &str = "twelve pieces of an answer, four letters in each";

impl Drawn {
    fn begin(&self, call: &Call) -> (usize, Goes, Duration, Reply, u64) {
        let client = client_of(call);
        let mut dice = self.dice.lock().expect("no panic");
        let mut most = |of: u64| if dice.roll(3) == 0 { of } else { 1 + dice.roll(of) };
        let known = self.bounds.lock().expect("no panic").get(&client).copied();
        let bound = known.unwrap_or_else(|| reads_at_most(call));
        let cap = u64::from(call.inference.max_tokens.unwrap_or(1_000));
        let (input, output) = (most(bound), most(cap).max(WORDS.len() as u64));
        let goes = match dice.roll(12) {
            0 => Goes::Refused(ModelErrorKind::Throttled),
            1 => Goes::Refused(ModelErrorKind::Unavailable),
            2 => Goes::Lost(ModelErrorKind::TimedOut),
            3 => Goes::Lost(ModelErrorKind::Unavailable),
            4 => Goes::BreaksOff(dice.roll(2) == 0),
            5 => Goes::Uncounted,
            _ => Goes::Well,
        };
        let takes = Duration::from_millis(dice.roll(2) * dice.roll(900));
        let mut attempts = self.attempts.lock().expect("no panic");
        let at = attempts.len();
        let says = match (call.tools.is_empty(), dice.roll(2)) {
            (true, _) => WORDS.to_owned(),
            (false, 0) => "<answer>done</answer>".to_owned(),
            (false, _) => format!("use g__read {client}"),
        };
        let state = State::UnderWay;
        attempts.push(Attempt { client, bound, cap, input, output: 0, state });
        (at, goes, takes, parse(at, &says), output)
    }
}

/// By all that a model reads of it: neither its own name, nor how much it may write.
fn reads_at_most(call: &Call) -> u64 {
    let mut read = Call { model: String::new(), ..call.clone() };
    (read.inference.max_tokens, read.options.ceiling) = (None, None);
    measure::input(&read).most
}

/// What its client said last that has a number.
fn client_of(call: &Call) -> usize {
    let blocks = call.messages.iter().rev().flat_map(|message| message.content.iter().rev());
    let number = blocks.into_iter().find_map(|block| match block {
        Block::Text(text) => text.strip_prefix("go ")?.parse().ok(),
        _ => None,
    });
    number.expect("each client says its number")
}

impl Provider for Drawn {
    fn name(&self) -> &str {
        "drawn"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            let (at, goes, takes, mut reply, output) = self.begin(call);
            tokio::time::sleep(takes).await;
            let attempts = self.attempts.clone();
            let ends = move |state, output| {
                let mut attempts = attempts.lock().expect("no panic");
                (attempts[at].state, attempts[at].output) = (state, output);
            };
            let input_tokens = self.attempts.lock().expect("no panic")[at].input;
            let counted = Usage { input_tokens, output_tokens: output, ..Usage::default() };
            let failed = |kind| ModelError::new(kind, "it failed");
            reply.usage = match goes {
                Goes::Refused(kind) => {
                    ends(State::Free, 0);
                    return Err(failed(kind));
                }
                Goes::Lost(kind) => {
                    ends(State::Uncounted, output);
                    return Err(ModelError { may_be_billed: true, ..failed(kind) });
                }
                Goes::Uncounted => Usage { output_tokens: output / 2, ..Usage::default() },
                Goes::Well | Goes::BreaksOff(_) => counted,
            };
            let mut deltas = llm::deltas(reply, if call.tools.is_empty() { PIECE } else { 0 });
            let mut end = None;
            if let Goes::BreaksOff(is_counted) = goes {
                deltas.truncate(1);
                deltas.extend(is_counted.then_some(Delta::Usage(counted)));
                end = Some(Err(failed(ModelErrorKind::Unavailable)));
            }
            let said = self.attempts.clone();
            let breaks = ends.clone();
            let deltas = deltas.into_iter().map(move |delta| {
                match &delta {
                    Delta::Usage(usage) if usage.is_counted() => ends(State::Counted, output),
                    Delta::Usage(_) => ends(State::Uncounted, output),
                    Delta::Text { text, .. } => {
                        said.lock().expect("no panic")[at].output += text.len() as u64;
                    }
                    _ => {}
                }
                Ok(delta)
            });
            let uncounted = matches!(goes, Goes::BreaksOff(false));
            let end = end.into_iter().inspect(move |_| {
                if uncounted {
                    breaks(State::Uncounted, output);
                }
            });
            Ok(stream::iter(deltas.chain(end)).boxed())
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Turn,
    /// For so many milliseconds.
    Whole(u64),
    /// For so many pieces of the answer.
    Stream(usize),
}

#[derive(Debug, Clone)]
struct Client {
    way: Way,
    comes_after: Duration,
    session: Option<String>,
    agent: Option<String>,
    user: Option<String>,
    max_tokens: u32,
}

impl Client {
    fn draw(dice: &mut Dice) -> Client {
        let way = match dice.roll(4) {
            0 => Way::Whole([200, 60_000][dice.roll(2) as usize]),
            1 => Way::Stream([1, 3, 100][dice.roll(3) as usize]),
            _ => Way::Turn,
        };
        let of_turn = matches!(way, Way::Turn);
        let mut one = |name: &str, of| format!("{name}-{}", dice.roll(of));
        let (session, user) = (one("session", 6), one("user", 3));
        Client {
            way,
            comes_after: Duration::from_millis(dice.roll(8) * 100),
            session: (of_turn || dice.roll(2) == 0).then_some(session),
            agent: (of_turn || dice.roll(2) == 0).then(|| "AGENT".to_owned()),
            user: (dice.roll(3) > 0).then_some(user),
            max_tokens: 60 + dice.roll(2_000) as u32,
        }
    }

    /// What it spends from; none where it has no such name.
    fn of(&self, scope: Scope) -> Option<String> {
        Some(match (scope, self.way) {
            (Scope::Session, Way::Turn) => {
                format!("session/{}", Session::key("AGENT", "ALIAS", self.session.as_ref()?))
            }
            (Scope::Session, _) => format!("client-session/{}", self.session.as_ref()?),
            (Scope::Agent, _) => format!("agent/{}", self.agent.as_ref()?),
            (Scope::User, _) => format!("user/{}", self.user.as_ref()?),
            (Scope::Tenant, _) => "tenant".to_owned(),
            (Scope::Day, _) => "all".to_owned(),
            (Scope::Call | Scope::Run, _) => return None,
        })
    }
}

/// Caps that bite after a few calls.
fn budgets(dice: &mut Dice) -> Json {
    let mut caps = serde_json::Map::new();
    for (scope, few) in
        [("run", 3), ("session", 5), ("agent", 12), ("user", 9), ("tenant", 15), ("day", 15)]
    {
        let mut cap = serde_json::Map::new();
        let share = 4 + dice.roll(8);
        let kinds = dice.roll(6);
        if kinds == 0 || kinds == 2 {
            cap.insert("tokens".to_owned(), json!(few * 800 * share));
        }
        if kinds == 1 || kinds == 2 {
            cap.insert("dollars".to_owned(), json!((few * share) as f64 * 0.03));
        }
        if !cap.is_empty() && ["agent", "user", "tenant"].contains(&scope) && dice.roll(2) == 0 {
            cap.insert("per".to_owned(), json!(["day", "month"][dice.roll(2) as usize]));
        }
        caps.insert(scope.to_owned(), Json::Object(cap));
    }
    if dice.roll(4) == 0 {
        caps.insert("call".to_owned(), json!({"tokens": 1_000 + dice.roll(3_000)}));
    }
    Json::Object(caps)
}

/// The day on which it all begins, and the next.
const DAYS: [&str; 2] = ["2023-11-14", "2023-11-15"];
const MIDNIGHT: Duration = Duration::from_millis(6_400_000);

struct Crowd {
    seed: u64,
    caps: Vec<Most>,
    clients: Vec<Client>,
    drawn: Arc<Drawn>,
    world: Arc<World>,
    engine: Engine,
    store: Store,
    tenant: Tenant,
}

impl Crowd {
    async fn new(seed: u64) -> Crowd {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let budgets: Budgets = serde_json::from_value(budgets(&mut dice)).expect("budgets");
        let surroundings = Surroundings { began: Instant::now(), ids: AtomicU64::default() };
        if dice.roll(3) == 0 {
            tokio::time::advance(MIDNIGHT - Duration::from_millis(500)).await;
        }
        let clients = (0..5 + dice.roll(25)).map(|_| Client::draw(&mut dice)).collect();
        let rule = match dice.roll(3) {
            0 => json!({"match": "m*", "provider": "drawn"}),
            1 => json!({"match": "m*", "provider": "drawn", "fallback": ["stand-in"]}),
            _ => json!({"match": "m*", "provider": "drawn", "hedge_after_ms": 300}),
        };
        let rules = [rule, json!({"match": "stand-in", "provider": "drawn"})];
        let rules = rules.map(|rule| serde_json::from_value(rule).expect("a rule")).into();
        let (world, surroundings) = (Arc::<World>::default(), Arc::new(surroundings));
        for _ in 0..10 {
            let mishaps = [Mishap::Lost, Mishap::NotSent, Mishap::Failure, Mishap::Slow(1)];
            world.mishap(mishaps[dice.roll(4) as usize]);
        }
        let (attempts, bounds) = Default::default();
        let drawn = Arc::new(Drawn { dice: Mutex::new(dice), attempts, bounds });
        let provider = ("drawn".to_owned(), Default::default(), drawn.clone() as Arc<dyn Provider>);
        let (store, models) = (Store::memory().expect("a store"), Models::of([provider], rules));
        let caps = budgets.caps();
        let parts = parts(&store, models, &world, &surroundings, &Limits::default());
        let parts = Parts { budgets, prices: prices(), ..parts };
        let engine = Engine::start(parts).await.expect("the engine starts");
        let tenant = Tenant::new("000000000000", "us-east-1");
        Crowd { seed, caps, clients, drawn, world, engine, store, tenant }
    }

    /// Plays it to its end; how many calls were refused for lack of room.
    async fn play(&self) -> usize {
        let pinned = Pinned { config: config() };
        let mut batch = Batch::new(&self.tenant, 0);
        batch.put(&pinned.digest(), &pinned);
        self.store.commit(batch).await.expect("the configuration");
        let config = pinned.digest();
        let asking = self.clients.iter().enumerate().map(|(n, client)| {
            let config = &config;
            async move {
                tokio::time::sleep(client.comes_after).await;
                let left = match client.way {
                    Way::Turn => self.turn(n, config).await,
                    Way::Whole(patience) => self.whole(n, Duration::from_millis(patience)).await,
                    Way::Stream(pieces) => self.stream(n, pieces).await,
                };
                self.check_caps().await;
                left.then_some(n)
            }
        });
        let left = futures_util::future::join_all(asking).await.into_iter().flatten().collect();
        while self.engine.running() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.check_books(&left).await
    }

    async fn turn(&self, n: usize, config: &str) -> bool {
        let client = &self.clients[n];
        let user = client.user.iter().map(|user| ("userId".to_owned(), user.clone()));
        let request = TurnRequest {
            request: format!("turn-{n}"),
            session_id: client.session.clone().expect("a turn has one"),
            prompt_session_attributes: Some(user.collect()),
            ..world::request(&self.engine, &self.tenant, config, Input::Text(format!("go {n}")))
        };
        heard(self.engine.invoke(request).await).await;
        false
    }

    fn asking(&self, n: usize) -> Asking {
        let Client { session, agent, user, max_tokens, .. } = self.clients[n].clone();
        let mut asking = asking(&self.tenant);
        asking.payer = Payer { session, agent, user, ..Payer::default() };
        asking.call.messages[0].content = vec![Block::Text(format!("go {n}"))];
        asking.call.inference.max_tokens = Some(max_tokens);
        let bound = self.engine.0.models.size(&asking.call, 0).input.most;
        self.drawn.bounds.lock().expect("no panic").insert(n, bound);
        asking
    }

    /// Whether it left before the end.
    async fn whole(&self, n: usize, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.engine.ask_model(self.asking(n))).await.is_err()
    }

    async fn stream(&self, n: usize, pieces: usize) -> bool {
        let Ok(mut answering) = self.engine.stream_model(self.asking(n)).await else {
            return false;
        };
        for _ in 0..pieces {
            if !matches!(answering.deltas.next().await, Some(Ok(_))) {
                return false;
            }
        }
        true
    }

    /// What a cap's counters are for a client: one, or one for each day.
    fn counters(client: &Client, most: &Most) -> Vec<String> {
        let periods = match most.per {
            None => vec!["ever"],
            Some(Period::Day) => DAYS.to_vec(),
            Some(Period::Month) => vec!["2023-11"],
        };
        let named = |of| periods.iter().map(move |per| format!("budget/{of}/{per}/"));
        let all = client.of(most.scope).map(|of| named(of).collect::<Vec<_>>());
        let unit = most.unit.word();
        all.into_iter().flatten().map(|name| name + unit).collect()
    }

    async fn counter(&self, name: &str) -> i64 {
        self.store.counter(&self.tenant, name).await.expect("a store")
    }

    async fn check_caps(&self) {
        for most in &self.caps {
            let names = self.clients.iter().flat_map(|client| Crowd::counters(client, most));
            for name in names.collect::<BTreeSet<_>>() {
                let says = self.counter(&name).await;
                assert!(says <= most.amount, "seed {}: {name}: {says} of {most:?}", self.seed);
            }
        }
    }

    async fn check_books(&self, left: &BTreeSet<usize>) -> usize {
        self.check_caps().await;
        let seed = self.seed;
        let (mut really, mut booked) = (Vec::new(), Vec::new());
        for (n, client) in self.clients.iter().enumerate() {
            let tools = self.world.calls();
            let tools = tools.iter().filter(|call| call.starts_with(&format!("read {n} ")));
            let used = Used(0, TOOL_CALL.0 * tools.count() as i64);
            let attempts = self.drawn.attempts.lock().expect("no panic").clone();
            let own: Vec<_> = attempts.into_iter().filter(|one| one.client == n).collect();
            really.push(own.iter().fold(used, |sum, one| sum.and(one.really())));
            booked.push(match client.way {
                Way::Turn => self.of_run(n).await,
                _ => of_direct(&own, left.contains(&n)),
            });
        }
        for most in &self.caps {
            let mut clients = BTreeMap::<_, Vec<usize>>::new();
            for (n, client) in self.clients.iter().enumerate() {
                let counters = Crowd::counters(client, most);
                clients.entry(counters).or_default().push(n);
            }
            for (counters, clients) in clients.into_iter().filter(|(names, _)| !names.is_empty()) {
                let sum = |of: &[Used]| -> i64 {
                    clients.iter().map(|n| of[*n].in_unit(most.unit)).sum()
                };
                let (used, books) = (sum(&really), sum(&booked));
                let mut says = 0;
                for name in &counters {
                    says += self.counter(name).await;
                }
                assert_eq!(says, books, "seed {seed}: {counters:?} of {clients:?}");
                assert!(used <= says, "seed {seed}: {counters:?}: {used} of {says}");
            }
            if most.scope == Scope::Run {
                for (n, _) in
                    self.clients.iter().enumerate().filter(|(_, c)| matches!(c.way, Way::Turn))
                {
                    let (used, books) =
                        (really[n].in_unit(most.unit), booked[n].in_unit(most.unit));
                    assert!(used <= books, "seed {seed}: run {n}: {used} of {books}");
                    assert!(books <= most.amount, "seed {seed}: run {n}: {books} of {most:?}");
                }
            }
        }
        let alerts = self.engine.alerts(&self.tenant, None, 100).await.expect("a store");
        alerts.iter().filter(|alert| alert.kind == "budget.exceeded").count()
    }

    /// By its journal.
    async fn of_run(&self, n: usize) -> Used {
        let id = format!("turn-{n}");
        let view = self.engine.view(&self.tenant, &id).await.expect("a store");
        let Some(view) = view else { return Used::default() };
        let (tokens, cost) = Book::open(&self.engine.0, &[], &view.events).spent();
        Used(tokens, cost)
    }
}

/// A client that leaves does so in the answer that it hears, or before it; the others are hedges.
fn of_direct(attempts: &[Attempt], left: bool) -> Used {
    let under_way = attempts.iter().enumerate().filter(|(_, one)| one.state == State::UnderWay);
    let heard = under_way.max_by_key(|(_, one)| one.output).map(|(at, _)| at).filter(|_| left);
    let all = attempts.iter().enumerate();
    all.fold(Used::default(), |sum, (at, one)| {
        sum.and(one.books((heard == Some(at)).then_some(one.output)))
    })
}

#[test]
fn no_budget_is_exceeded_by_any_crowd_and_nothing_stays_held_back() {
    let stopped: usize = std::thread::scope(|scope| {
        let play = |seed| {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .expect("a runtime");
                runtime.block_on(async { Crowd::new(seed).await.play().await })
            })
        };
        let crowds: Vec<_> = (1..=60).map(play).collect();
        crowds.into_iter().map(|crowd| crowd.join().expect("the seed holds")).sum()
    });
    assert!(stopped > 60, "the caps are low enough to be worth it: {stopped} times");
}
