//! Calls of models on their way: limits, breakers, repeats, stand-ins, hedges, routes.

#![allow(clippy::needless_pass_by_value, reason = "`json!` reads best in place")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use craton_core::cost::Money;
use craton_core::route::{Inputs, Route, StepKind};
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream;
use llm::{Deltas, EmbedCall, EmbedRole, Embedded, ModelError, ModelErrorKind, Provider};
use serde_json::Value as Json;
use wire::converse::{
    Block, CachePoints, Call, Delta, Inference, Message, Options, Role, StopReason, ToolChoice,
    Usage,
};

use super::*;
use crate::alert::Alert;
use crate::model::{Answer, Asking, Config, Embedding, Payer, PromptRouter};
use crate::spend::{By, Wanted};

/// Answers with the name by which it was asked; what else a model does is its name's to say.
#[derive(Default)]
struct Peer {
    asked: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
    dropped: Arc<AtomicUsize>,
}

/// Counts a request that was given up before its answer.
struct Under(Arc<AtomicUsize>, bool);

impl Drop for Under {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Peer {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    fn count(&self, model: &str) -> usize {
        self.asked().iter().filter(|asked| *asked == model).count()
    }
}

impl Provider for Peer {
    fn name(&self) -> &str {
        "peer"
    }

    fn count_tokens<'a>(
        &'a self,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Option<u64>, ModelError>> {
        self.asked.lock().expect("no panic").push(format!("{} counts", call.model));
        Box::pin(std::future::ready(Ok(Some(7))))
    }

    fn embed<'a>(&'a self, call: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        self.asked.lock().expect("no panic").push(format!("{} embeds", call.model));
        let embedded = Embedded { vectors: vec![vec![1.0]], input_tokens: 100 };
        let away = call.model == "down";
        Box::pin(std::future::ready(match away {
            true => Err(ModelError::new(ModelErrorKind::Unavailable, "away")),
            false => Ok(embedded),
        }))
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            let model = call.model.clone();
            let nth = {
                let mut asked = self.asked.lock().expect("no panic");
                asked.push(model.clone());
                asked.iter().filter(|asked| **asked == model).count()
            };
            let failed = |kind| Err(ModelError::new(kind, format!("{model} is away")));
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            let mut under = Under(self.dropped.clone(), false);
            let takes = match model.as_str() {
                "slow" => 1_000,
                "slow-once" if nth == 1 => 5_000,
                _ => 10,
            };
            tokio::time::sleep(Duration::from_millis(takes)).await;
            under.1 = true;
            self.running.fetch_sub(1, Ordering::SeqCst);
            match model.as_str() {
                "down" => return failed(ModelErrorKind::Unavailable),
                "storm" => return failed(ModelErrorKind::Throttled),
                "refuses" => return failed(ModelErrorKind::Refused),
                "busy-twice" if nth < 3 => return failed(ModelErrorKind::Throttled),
                "later" if nth == 1 => {
                    let error = ModelError::new(ModelErrorKind::Throttled, "later");
                    return Err(ModelError { retry_after: Some(Duration::from_secs(7)), ..error });
                }
                _ => {}
            }
            let usage = Usage { input_tokens: 100, output_tokens: 100, ..Usage::default() };
            let deltas = [
                Delta::Text { index: 0, text: model },
                Delta::BlockStop { index: 0 },
                Delta::Stop(StopReason::EndTurn),
                Delta::Usage(usage),
            ];
            Ok(stream::iter(deltas.map(Ok)).boxed())
        })
    }
}

/// An engine with the model map and the settings of a `craton.toml` in JSON: `rules` are `[[models]]`, in
/// which provider `peer` may be left out; `home` is local.
struct Desk {
    engine: Engine,
    peer: Arc<Peer>,
    home: Arc<Peer>,
    began: Instant,
}

impl Desk {
    fn new(rules: Json, common: Json, gateway: Config) -> Desk {
        let (peer, home) = (Arc::<Peer>::default(), Arc::<Peer>::default());
        let common = serde_json::from_value(common).expect("settings of a provider");
        let local = serde_json::from_value(json!({"local": true})).expect("settings");
        let rule = |mut rule: Json| {
            if rule.get("provider").is_none() {
                rule["provider"] = json!("peer");
            }
            serde_json::from_value(rule).expect("a rule")
        };
        let mut rules: Vec<llm::ModelRule> =
            rules.as_array().cloned().unwrap_or_default().into_iter().map(rule).collect();
        rules.push(rule(json!({"match": "home*", "provider": "home"})));
        rules.push(rule(json!({"match": "*"})));
        let models = Models::of(
            [
                ("peer".to_owned(), common, peer.clone() as Arc<dyn Provider>),
                ("home".to_owned(), local, home.clone() as Arc<dyn Provider>),
            ],
            rules,
        );
        let store = Store::memory().expect("a store");
        let surroundings = Surroundings { began: Instant::now(), ids: AtomicU64::default() };
        let (surroundings, world) = (Arc::new(surroundings), Arc::default());
        let parts = parts(&store, models, &world, &surroundings, &Limits::default());
        let engine = Engine::assemble(Parts { gateway, ..parts });
        Desk { engine, peer, home, began: Instant::now() }
    }

    async fn ask(&self, asking: Asking) -> Result<Answer, ModelError> {
        self.engine.ask_model(asking).await
    }

    /// Who answered after how many attempts, or the kind of failure; with the tenths of a second
    /// since the beginning.
    async fn told(&self, asking: Asking) -> String {
        let told = match self.ask(asking).await {
            Ok(Answer { model, conduct, .. }) => format!("{model} after {}", conduct.attempts),
            Err(error) => format!("{:?}", error.kind),
        };
        format!("{told} at {}", self.began.elapsed().as_millis() / 100)
    }
}

fn rates(toml: Json) -> Config {
    let rates = serde_json::from_value(toml).expect("rates");
    let config = Config { rates, ..Config::default() };
    config.check().expect("sound rates");
    config
}

fn asking(model: &str) -> Asking {
    let text = Block::Text("hello".to_owned());
    Asking {
        tenant: Tenant::new("000000000000", "us-east-1"),
        kind: StepKind::Planning,
        payer: Payer::default(),
        call: Call {
            model: model.to_owned(),
            system: Vec::new(),
            messages: vec![Message { role: Role::User, content: vec![text] }],
            tools: Arc::default(),
            tool_choice: ToolChoice::Auto,
            inference: Inference::default(),
            cache: CachePoints::default(),
            additional: Json::Null,
            options: Options::default(),
            stream: false,
        },
        route: None,
    }
}

fn of_user(model: &str, user: &str) -> Asking {
    let payer = Payer { user: Some(user.to_owned()), ..Payer::default() };
    Asking { payer, ..asking(model) }
}

fn said(model: &str, words: &[(&str, &str)]) -> Asking {
    let mut asking = asking(model);
    let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    asking.call.options.metadata = words.iter().map(own).collect();
    asking
}

#[tokio::test(start_paused = true)]
async fn a_throttle_is_retried_inside_with_jitter_and_no_earlier_than_the_provider_asks() {
    let desk = Desk::new(json!([]), json!({}), Config::default());
    let told = desk.told(asking("busy-twice")).await;
    assert!(told.starts_with("busy-twice after 3 at "), "{told}");
    // Two pauses of at most 1 and 2 seconds.
    assert!(desk.began.elapsed() < Duration::from_secs(4), "{told}");
    let began = desk.began.elapsed();
    desk.ask(asking("later")).await.expect("an answer");
    let took = desk.began.elapsed() - began;
    assert!((7_000..8_100).contains(&took.as_millis()), "{took:?}");
    assert!(desk.told(asking("storm")).await.starts_with("Throttled"));
    assert_eq!(desk.peer.count("storm"), 3);
    assert!(desk.told(asking("refuses")).await.starts_with("Refused"));
    assert_eq!(desk.peer.count("refuses"), 1);
}

/// K6 and J10: 1,000 calls in a full outage make at most 1,100 requests, and do not come back together.
#[tokio::test(start_paused = true)]
async fn a_full_outage_is_not_amplified() {
    for model in ["down", "storm"] {
        let desk = Desk::new(json!([]), json!({}), Config::default());
        let calls = (0..1_000).map(|n: u64| {
            let desk = &desk;
            async move {
                tokio::time::sleep(Duration::from_millis(n * 5)).await;
                desk.ask(asking(model)).await.expect_err("nobody is there").kind
            }
        });
        let kinds = join_all(calls).await;
        let made = desk.peer.asked().len();
        assert!(made <= 1_100, "{model}: {made}");
        assert_eq!(kinds.len(), 1_000);
        assert!(
            model == "down" || made >= 1_000,
            "a throttle says nothing of the provider: {made}"
        );
    }
}

/// The same where models stand in for each other and all of them are away: few calls ask one after another.
#[tokio::test(start_paused = true)]
async fn models_that_stand_in_do_not_amplify_an_outage() {
    for model in ["down", "storm"] {
        let rules = json!([
            {"match": "first", "model": model, "fallback": ["second", "third"]},
            {"match": "second", "model": model},
            {"match": "third", "model": model, "provider": "home"},
        ]);
        let desk = Desk::new(rules, json!({}), Config::default());
        let calls = (0..1_000).map(|n: u64| {
            let desk = &desk;
            async move {
                tokio::time::sleep(Duration::from_millis(n * 5)).await;
                desk.ask(asking("first")).await.expect_err("nobody is there").kind
            }
        });
        let kinds = join_all(calls).await;
        let made = desk.peer.asked().len() + desk.home.asked().len();
        assert!(made <= 1_100, "{model}: {made}");
        // Whoever was left alone is not whom the client hears of.
        let storm = kinds.iter().filter(|kind| **kind == ModelErrorKind::Throttled).count();
        assert!(model == "down" || storm == 1_000, "{storm}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_one_of_the_provider_s_repeats() {
    let rules = json!([{"match": "slow", "hedge_after_ms": 100}]);
    let desk = Desk::new(rules, json!({"concurrency": 2000}), Config::default());
    join_all((0..1_000).map(|_| desk.ask(asking("slow")))).await;
    assert!(desk.peer.asked().len() <= 1_010, "{}", desk.peer.asked().len());
}

/// Who waited in vain, or left while it waited, has drawn nothing of the minute.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_never_made_leaves_the_minute_as_it_was() {
    let gateway = rates(json!({"wait_seconds": 61.0, "waiting": 1}));
    let desk = Desk::new(json!([]), json!({"requests_per_minute": 1}), gateway);
    desk.ask(asking("m")).await.expect("the minute's one");
    let left = tokio::time::timeout(Duration::from_secs(1), desk.ask(asking("m"))).await;
    assert!(left.is_err(), "it had to wait");
    let all = join_all((0..20).map(|_| desk.ask(asking("m")))).await;
    assert_eq!(all.iter().filter(|answer| answer.is_ok()).count(), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let began = Instant::now();
    desk.ask(asking("m")).await.expect("the next minute's one");
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_left_alone_until_one_call_has_tried() {
    let gateway = rates(json!({"breaker": {"least_calls": 4}, "retry": {"attempts": 1}}));
    let desk = Desk::new(json!([]), json!({}), gateway);
    for _ in 0..4 {
        desk.ask(asking("down")).await.expect_err("it is away");
    }
    let view = || {
        let views = desk.engine.provider_breakers();
        let peer = views.into_iter().find(|view| view.provider == "peer").expect("it is named");
        (peer.state, peer.calls)
    };
    assert_eq!(view().0, "open");
    let error = desk.ask(asking("any")).await.expect_err("it is left alone");
    assert_eq!(error.kind, ModelErrorKind::Unavailable);
    assert_eq!(error.retry_after, Some(Duration::from_secs(5)));
    assert_eq!(desk.peer.asked().len(), 4);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let both = join_all((0..50).map(|_| desk.ask(asking("any")))).await;
    assert_eq!(both.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(desk.peer.asked().len(), 5);
    assert_eq!(view(), ("closed", 0));
    desk.ask(asking("any")).await.expect("it is back");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_left_alone_is_told_once_an_hour() {
    let gateway = rates(json!({"breaker": {"least_calls": 4}, "retry": {"attempts": 1}}));
    let desk = Desk::new(json!([]), json!({}), gateway);
    let fails = async |times: usize| {
        for _ in 0..times {
            desk.ask(asking("down")).await.expect_err("it is away");
        }
        let alerts = desk.engine.alerts(&asking("any").tenant, None, 10).await.expect("a store");
        let told = |alert: &Alert| format!("{} {}\n  {}\n", alert.kind, alert.key, alert.message);
        alerts.iter().map(told).collect::<String>()
    };
    let first = fails(4).await;
    expect_test::expect![[r#"
        breaker.opened provider/peer
          the breaker of provider "peer" is open: 4 of its last 4 calls failed
    "#]]
    .assert_eq(&first);
    // The call that tries fails as well, and those after it go nowhere.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(fails(3).await, first);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let again = fails(1).await;
    expect_test::expect![[r#"
        breaker.opened provider/peer
          the breaker of provider "peer" is open: the call that tried whether it is back failed
        breaker.opened provider/peer
          the breaker of provider "peer" is open: 4 of its last 4 calls failed
    "#]]
    .assert_eq(&again);
    assert_eq!(desk.peer.asked().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn the_models_that_stand_in_are_asked_in_order_with_their_own_fields() {
    let rules = json!([
        {"match": "storm", "fallback": ["down", "refuses"], "request_fields": {"a": 1}},
        {"match": "down", "fallback": ["nobody"]},
        {"match": "wrong", "model": "refuses", "fallback": ["fine"]},
        {"match": "first", "model": "storm", "fallback": ["fine"]},
    ]);
    let desk = Desk::new(rules, json!({}), Config::default());
    assert_eq!(desk.told(asking("first")).await, "fine after 2 at 0");
    let answer = desk.ask(asking("first")).await.expect("an answer");
    assert_eq!(answer.conduct.passed[0].model, "first");
    assert!(answer.conduct.passed[0].reason.starts_with("storm is away"));
    assert!(desk.told(asking("storm")).await.starts_with("Refused"));
    assert_eq!(desk.peer.asked()[4..], ["storm", "down", "refuses"]);
    // What the call itself is refused for, nobody else is asked.
    assert!(desk.told(asking("wrong")).await.starts_with("Refused"));
    assert_eq!(desk.peer.count("fine"), 2);
}

#[tokio::test(start_paused = true)]
async fn places_are_given_in_the_order_of_asking_and_not_for_ever() {
    let desk = Desk::new(json!([]), json!({"concurrency": 2}), Config::default());
    let all = join_all((0..6).map(|_| desk.told(asking("slow")))).await;
    let at = |seconds: u32| format!("slow after 1 at {seconds}0");
    assert_eq!(all, [at(1), at(1), at(2), at(2), at(3), at(3)]);
    assert_eq!(desk.peer.most.load(Ordering::SeqCst), 2);
    let desk = Desk::new(
        json!([]),
        json!({"concurrency": 1}),
        rates(json!({"wait_seconds": 1.5, "waiting": 2})),
    );
    let all = join_all((0..4).map(|_| desk.ask(asking("slow")))).await;
    let kinds = all.iter().map(|answer| answer.as_ref().err().map(|error| error.kind));
    let full = Some(ModelErrorKind::Throttled);
    assert_eq!(kinds.collect::<Vec<_>>(), [None, None, full, full]);
    let errors: Vec<_> = all.into_iter().filter_map(Result::err).map(|e| e.message).collect();
    expect_test::expect![[r#"
        provider "peer" has no room: all of its 1 places were taken for too long; try again in 1 s (CR0012)
        provider "peer" has no room: 2 calls wait already; try again in 1 s (CR0012)"#]]
    .assert_eq(&errors.join("\n"));
}

/// K11: each agent and each user has limits of his own, beside those of provider, model and tenant.
#[tokio::test(start_paused = true)]
async fn users_agents_tenants_and_models_have_limits_of_their_own() {
    let gateway = rates(json!({
        "user": {"requests_per_minute": 2},
        "users": {"greedy": {"requests_per_minute": 1}},
        "agents": {"AGENT": {"concurrency": 1}},
        "tenant": {"requests_per_minute": 5},
        "wait_seconds": 0.0,
    }));
    let rules = json!([{"match": "capped", "requests_per_minute": 1}]);
    let desk = Desk::new(rules, json!({}), gateway);
    let told = |asking| async {
        match desk.ask(asking).await {
            Ok(_) => "well".to_owned(),
            Err(error) => format!("{:?} {:?}", error.kind, error.retry_after.expect("a hint")),
        }
    };
    assert_eq!(told(of_user("m", "greedy")).await, "well");
    assert_eq!(told(of_user("m", "greedy")).await, "Throttled 60s");
    assert_eq!(told(of_user("m", "other")).await, "well");
    assert_eq!(told(of_user("m", "other")).await, "well");
    assert_eq!(told(of_user("m", "other")).await, "Throttled 30s");
    assert_eq!(told(asking("capped")).await, "well");
    assert_eq!(told(asking("capped")).await, "Throttled 60s");
    let of_agent = || {
        let payer = Payer { agent: Some("AGENT".to_owned()), ..Payer::default() };
        Asking { payer, ..asking("slow") }
    };
    let both = join_all([told(of_agent()), told(of_agent())]).await;
    assert_eq!(both[0], "well");
    assert!(both[1].starts_with("Throttled"), "{both:?}");
    // Who was sent away by one limit is not counted in another.
    assert_eq!(told(asking("m")).await, "Throttled 11s");
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_minute_are_those_that_were_really_used() {
    let rules = json!([{"match": "m", "tokens_per_minute": 1000}]);
    let desk = Desk::new(rules, json!({}), rates(json!({"wait_seconds": 0.0})));
    let mut capped = asking("m");
    capped.call.inference.max_tokens = Some(900);
    // Each is held to its cap while it is under way, and to its 200 tokens after it.
    for _ in 0..4 {
        desk.ask(asking("m")).await.expect("there is room");
    }
    let error = desk.ask(capped.clone()).await.expect_err("800 of 1000 are used");
    assert_eq!(error.kind, ModelErrorKind::Throttled);
    tokio::time::sleep(Duration::from_secs(45)).await;
    desk.ask(capped).await.expect("a minute's worth comes back in a minute");
}

/// A6: what an alias has reserved is taken from nobody and taken by nobody.
#[tokio::test(start_paused = true)]
async fn provisioned_throughput_has_places_of_its_own() {
    const ARN: &str = "arn:aws:bedrock:us-east-1:000000000000:provisioned-model/abc";
    let gateway = rates(json!({"provisioned": {ARN: {"concurrency": 2}}, "wait_seconds": 0.0}));
    let desk = Desk::new(json!([]), json!({"concurrency": 1}), gateway);
    let reserved = || {
        let payer = Payer { provisioned: Some(ARN.to_owned()), ..Payer::default() };
        Asking { payer, ..asking("slow") }
    };
    let all = [asking("slow"), asking("slow"), reserved(), reserved(), reserved()];
    let all = join_all(all.map(|asking| desk.ask(asking))).await;
    let well: Vec<bool> = all.iter().map(Result::is_ok).collect();
    assert_eq!(well, [true, false, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_asks_a_second_time_and_the_loser_is_cancelled() {
    let rules = json!([{"match": "slow-once", "hedge_after_ms": 300}]);
    let desk = Desk::new(rules, json!({}), Config::default());
    let answer = desk.ask(asking("slow-once")).await.expect("an answer");
    assert!(answer.conduct.hedged && answer.conduct.attempts == 2, "{:?}", answer.conduct);
    assert_eq!(desk.began.elapsed().as_millis(), 310);
    assert_eq!(desk.peer.dropped.load(Ordering::SeqCst), 1);
    // One that is quick is asked once.
    assert_eq!(desk.told(asking("quick")).await, "quick after 1 at 3");
}

/// J6: at the last door, whatever led there.
#[tokio::test(start_paused = true)]
async fn restricted_data_never_leaves_for_a_provider_that_is_not_local() {
    let rules = json!([
        {"match": "mixed", "provider": "home", "model": "storm", "fallback": ["cloud", "home-2"]},
        {"match": "home-cloud", "provider": "home", "local": false},
    ]);
    let desk = Desk::new(rules, json!({}), Config::default());
    let restricted = |model| said(model, &[("data-class", "restricted")]);
    for model in ["cloud", "home-cloud"] {
        let error = desk.ask(restricted(model)).await.expect_err("it may not leave");
        assert_eq!(error.kind, ModelErrorKind::Unsupported);
    }
    assert_eq!(desk.told(restricted("home-1")).await, "home-1 after 1 at 0");
    assert_eq!(desk.told(restricted("mixed")).await, "home-2 after 2 at 0");
    let mut routed = restricted("home-1");
    let (kind, reason) = (StepKind::Planning, String::new());
    let (model, fallbacks) = ("cloud".to_owned(), vec!["other-cloud".to_owned()]);
    let route =
        Route { model, fallbacks, kind, rci: None, inputs: Some(Inputs::default()), reason };
    routed.route = Some(Box::new(route));
    desk.ask(routed).await.expect_err("a route leads nowhere else either");
    assert_eq!(desk.peer.asked(), Vec::<String>::new());
    assert_eq!(desk.home.asked(), ["home-1", "storm", "home-2"]);
}

fn embedding(model: &str, words: &[(&str, &str)]) -> Embedding {
    let Asking { tenant, payer, call, .. } = said(model, words);
    let embed = EmbedCall {
        model: call.model,
        texts: vec!["hello".to_owned()],
        dimensions: None,
        role: EmbedRole::default(),
        normalize: true,
        truncate: Default::default(),
    };
    Embedding { tenant, payer, call: embed, said: call.options.metadata }
}

/// J6: nothing of restricted data leaves to be counted or made into vectors either.
#[tokio::test(start_paused = true)]
async fn embeddings_and_counts_pass_the_same_doors_as_calls() {
    let rules = json!([{"match": "capped", "requests_per_minute": 1}]);
    let desk = Desk::new(rules, json!({}), rates(json!({"wait_seconds": 0.0})));
    let class = [("data-class", "restricted")];
    let refused = desk.engine.embed(embedding("cloud", &class)).await.expect_err("it may not");
    assert_eq!(refused.kind, ModelErrorKind::Unsupported);
    let Asking { tenant, call, .. } = said("cloud", &class);
    let counted = desk.engine.count_tokens(&tenant, call).await.expect("an estimate");
    assert!(counted.estimated);
    assert_eq!(desk.peer.asked(), Vec::<String>::new());
    desk.engine.embed(embedding("home-1", &class)).await.expect("vectors");
    let Asking { tenant, call, .. } = said("home-1", &class);
    let counted = desk.engine.count_tokens(&tenant, call).await.expect("a count");
    assert_eq!((counted.tokens, counted.estimated), (7, false));
    assert_eq!(desk.home.asked(), ["home-1 embeds", "home-1 counts"]);
    // Their cost is on the line of what text is found by.
    desk.engine.embed(embedding("text-embedding-3-small", &[])).await.expect("vectors");
    let wanted = Wanted { by: By::Model, since: 0 };
    let report = desk.engine.spent(&tenant, wanted).await.expect("sums");
    let row = report.rows.iter().find(|row| row.of == "text-embedding-3-small").expect("a row");
    assert_eq!((row.spent.stack.model, row.spent.stack.knowledge.0), (Money::ZERO, 100 * 20_000));
    desk.engine.embed(embedding("capped", &[])).await.expect("the minute's one");
    let full = desk.engine.embed(embedding("capped", &[])).await.expect_err("no room");
    assert_eq!(full.kind, ModelErrorKind::Throttled);
    // The repeats of calls and of everything else are the same ones.
    let calls = join_all((0..20).map(|_| desk.engine.embed(embedding("down", &[])))).await;
    assert!(calls.iter().all(Result::is_err));
    assert!(desk.peer.count("down embeds") <= 30, "{:?}", desk.peer.asked());
}

/// A router's model is chosen for each call by the same index, and restricted data stays local there too.
#[tokio::test(start_paused = true)]
async fn a_prompt_router_chooses_for_a_client_s_call() {
    let desk = Desk::new(json!([]), json!({}), Config::default());
    let arn = |id: &str| format!("arn:aws:bedrock:us-east-1:000000000000:prompt-router/{id}");
    for (id, tags) in [("r", json!({})), ("t", json!({"craton:data-class": "restricted"}))] {
        let router = json!({
            "id": id, "name": id, "models": ["big", "home-big"], "fallback": "little",
            "responseQualityDifference": 5.0, "createdAt": 0, "tags": tags,
        });
        let router: PromptRouter = serde_json::from_value(router).expect("a router");
        let mut batch = Batch::new(&Tenant::new("000000000000", "us-east-1"), 0);
        batch.put(id, &router);
        desk.engine.store().commit(batch).await.expect("a store");
    }
    let hard = |id: &str, words: &[(&str, &str)]| {
        let mut hard = said(&arn(id), words);
        hard.call.system = vec!["If so, go on. ".repeat(12)];
        hard
    };
    let told = |asking| async { desk.ask(asking).await.expect("an answer").model };
    assert_eq!(told(asking(&arn("r"))).await, "little");
    assert_eq!(told(hard("r", &[])).await, "big");
    let before = desk.peer.asked().len();
    assert_eq!(told(hard("r", &[("data-class", "restricted")])).await, "home-big");
    assert_eq!(told(asking(&arn("t"))).await, "home-big");
    desk.engine.embed(embedding(&arn("t"), &[])).await.expect_err("its fallback is not local");
    assert_eq!(desk.peer.asked().len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_client_s_own_call_is_routed_where_it_or_the_operator_asks_for_it() {
    let rules = json!([
        {"match": "big", "class": "large"}, {"match": "little", "class": "small"},
        {"match": "home-small", "class": "small", "provider": "home"},
    ]);
    let routing = serde_json::from_value(json!({"direct": ["auto"]})).expect("a table");
    let gateway = Config { routing: Some(routing), ..Config::default() };
    let desk = Desk::new(rules, json!({}), gateway);
    let told = |asking| async { desk.ask(asking).await.expect("an answer").model };
    let hard = |model: &str, words: &[(&str, &str)]| {
        let mut hard = said(model, words);
        hard.call.system = vec!["If so, go on. ".repeat(12)];
        hard
    };
    assert_eq!(told(asking("plain")).await, "plain");
    assert_eq!(told(asking("auto")).await, "little");
    assert_eq!(told(hard("auto", &[])).await, "big");
    assert_eq!(told(hard("plain", &[])).await, "plain");
    assert_eq!(told(hard("auto", &[("craton:latency", "1.2")])).await, "little");
    assert_eq!(told(hard("plain", &[("craton:step", "planning")])).await, "big");
    assert_eq!(told(hard("auto", &[("data-class", "restricted")])).await, "home-small");
    let other = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    let mut tagged = asking("plain");
    tagged.call.options.metadata = other;
    assert_eq!(told(tagged).await, "plain");
}

#[tokio::test(start_paused = true)]
async fn a_deterministic_call_is_answered_once_where_answers_are_kept() {
    let cache = serde_json::from_value(json!({"answers": true, "seconds": 60})).expect("a cache");
    let gateway = Config { cache, ..Config::default() };
    let desk = Desk::new(json!([]), json!({}), gateway);
    let cold = || {
        let mut cold = asking("m");
        cold.call.inference.temperature = Some(0.0);
        cold
    };
    let first = desk.ask(cold()).await.expect("an answer");
    let second = desk.ask(cold()).await.expect("an answer");
    assert_eq!(first.reply, second.reply);
    assert_eq!(
        (first.conduct.cached, second.conduct.cached, second.conduct.attempts),
        (false, true, 0)
    );
    let other = Tenant::new("111111111111", "us-east-1");
    desk.ask(Asking { tenant: other, ..cold() }).await.expect("an answer");
    desk.ask(asking("m")).await.expect("an answer");
    let mut more = cold();
    more.call.system = vec!["more".to_owned()];
    desk.ask(more).await.expect("an answer");
    let mut sooner = cold();
    sooner.call.options.latency = Some("standard".to_owned());
    desk.ask(sooner).await.expect("an answer");
    assert_eq!(desk.peer.count("m"), 5);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!desk.ask(cold()).await.expect("an answer").conduct.cached);
}

/// J11: a client that watches sees the first of it while the model still thinks.
#[tokio::test(start_paused = true)]
async fn the_first_trace_comes_before_the_model_answers() {
    let bench = Bench::with(&[], Duration::from_secs(5), Limits::default()).await;
    let began = Instant::now();
    let request = TurnRequest { trace: true, ..bench.request("hello") };
    let mut hearing = bench.engine.invoke(request).await.expect("a turn");
    let first = hearing.outs.next().await;
    assert!(matches!(first, Some(Out::Trace(_))), "{first:?}");
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
}
