//! What is foreseen of a turn by its configuration holds for the turns that follow, whoever answers: a
//! model that says as little as can be, and one that takes whatever it is allowed to.

use std::sync::atomic::{AtomicUsize, Ordering};

use craton_core::agent::config::{
    Collaboration, Collaborator, Executor, MemoryConfig, Stage, StageConfig,
};
use craton_core::agent::team::SEND_MESSAGE;
use craton_core::cost::{Money, Prices};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use llm::{Deltas, ModelError, ModelErrorKind, Provider, measure};
use wire::converse::{Call, Usage};

use super::*;
use crate::spend::Forecast;

/// What it says when it was given no cap, as the largest models do.
const MOST_SAID: u64 = 128_000;

/// A model that counts what it reads and says, at its word's cheapest or at its dearest.
struct Spender {
    greedy: bool,
    /// Calls that time out before one is answered, where it is greedy.
    slow: usize,
    calls: AtomicUsize,
}

impl Spender {
    fn usage(&self, call: &Call) -> Usage {
        let text: usize = call.system.iter().map(String::len).sum();
        match self.greedy {
            true => Usage {
                cache_write_input_tokens: measure::input(call).most,
                cache_write_hour_input_tokens: measure::input(call).most,
                output_tokens: call.inference.max_tokens.map_or(MOST_SAID, u64::from),
                ..Usage::default()
            },
            false => Usage {
                cache_read_input_tokens: (text / 5) as u64 + 200,
                output_tokens: 5,
                ..Usage::default()
            },
        }
    }

    /// Two uses of what there is at each step, until the last; else one answer that suits all stages.
    fn blocks(&self, call: &Call) -> Vec<Block> {
        let said = call.messages.iter().filter(|m| m.role == Role::Assistant).count();
        let number = self.calls.load(Ordering::SeqCst);
        let offered = |name: &str| call.tools.iter().any(|tool| tool.name == name);
        let used = |at: usize, name: &str, input: Json| {
            let tool_use_id = format!("u{number}-{at}");
            Block::ToolUse(ToolUse { tool_use_id, name: name.to_owned(), input })
        };
        let last = said >= 2 || !self.greedy;
        match (last, offered(SEND_MESSAGE), offered("g__read")) {
            (false, true, _) => {
                let letter = json!({"recipient": "helper", "content": "x".repeat(4_000)});
                vec![used(0, SEND_MESSAGE, letter.clone()), used(1, SEND_MESSAGE, letter)]
            }
            (false, false, true) => {
                let read = |at: usize| used(at, "g__read", json!({"x": number * 2 + at}));
                vec![read(0), read(1)]
            }
            _ => vec![Block::Text(
                "<thinking>t</thinking><category>D</category><a>helper</a><answer>done</answer>\
                 <final_response>done</final_response><summary>said</summary>"
                    .to_owned(),
            )],
        }
    }
}

impl Provider for Spender {
    fn name(&self) -> &str {
        "spender"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.greedy && number % (self.slow + 1) < self.slow {
            let error = ModelError::new(ModelErrorKind::TimedOut, "it took too long");
            return futures_util::future::ready(Err(error)).boxed();
        }
        let reply =
            Reply { usage: self.usage(call), ..reply(self.blocks(call), StopReason::EndTurn) };
        let deltas: Vec<_> = llm::deltas(reply, 0).into_iter().map(Ok).collect();
        futures_util::future::ready(Ok(futures_util::stream::iter(deltas).boxed())).boxed()
    }
}

/// Three models of three prices, whose calls go to whoever spends.
async fn bench(spender: Spender, rules: Json, change: impl FnOnce(&mut Parts)) -> Bench {
    let provider = Arc::new(spender) as Arc<dyn Provider>;
    let rules = serde_json::from_value(rules).expect("rules");
    let models = Models::of([("far".to_owned(), Default::default(), provider)], rules);
    let unasked = Arc::new(Model::new(Vec::new()));
    let mut bench = Bench::of(models.clone(), unasked, Limits::default()).await;
    bench.store = bench.store.reopen().expect("the data is there");
    let mut parts = parts(&bench.store, models, &bench.world, &bench.surroundings, &bench.limits);
    let file = "as_of = \"2026-01-01\"\n[[models]]\nmatch = \"large\"\ninput = 100\noutput = 500\n\
                [[models]]\nmatch = \"*\"\ninput = 1\noutput = 5\n[tool]\ncall = 0.001\n[memory]\n\
                store = 0.001\nsearch = 0.001\n";
    parts.prices = Prices::none().over(file).expect("a price file");
    (parts.turn.model_calls, parts.turn.tool_uses) = (3, 2);
    change(&mut parts);
    bench.engine = Engine::start(parts).await.expect("the engine starts");
    bench
}

fn any() -> Json {
    json!([{"match": "*", "provider": "far"}])
}

/// One whose tools are all performed here.
fn plain() -> AgentConfig {
    let mut config = config();
    config.groups.retain(|group| matches!(group.executor, Executor::Lambda(_)));
    AgentConfig { user_input: false, ..config }
}

fn stage(stage: Stage) -> StageConfig {
    StageConfig {
        stage,
        enabled: true,
        template: None,
        inference: None,
        model: None,
        additional: Json::Null,
        parser: false,
    }
}

async fn supervisor(bench: &Bench, collaboration: Collaboration) -> AgentConfig {
    let helper = AgentConfig {
        agent_id: "HELPER".to_owned(),
        model: "large".to_owned(),
        stages: vec![stage(Stage::PostProcessing)],
        ..plain()
    };
    let collaborator = Collaborator {
        name: "helper".to_owned(),
        instruction: "asked about everything".to_owned(),
        relay: true,
        agent_id: "HELPER".to_owned(),
        alias_id: "ALIAS".to_owned(),
        alias_arn: "arn:helper".to_owned(),
        config: bench.other_config(helper).await,
    };
    AgentConfig { collaboration, collaborators: vec![collaborator], ..plain() }
}

impl Bench {
    async fn forecast(&self, config: &str, input: &str) -> Forecast {
        // An agent that had no turns.
        let found = self.engine.forecast(&self.tenant, ("NOBODY", config), input).await;
        found.expect("a store").expect("the configuration is there")
    }

    /// What a new turn costs, in money and milliseconds.
    async fn turn(&self, config: &str, input: &str) -> (Money, i64) {
        let session_id = config.to_owned();
        let request = TurnRequest { config: config.to_owned(), session_id, ..self.request(input) };
        drop(self.hear(request).await);
        self.quiet().await;
        let runs = self.engine.turns_of(&self.tenant, "AGENT", 1).await.expect("runs").runs;
        let run = runs.first().expect("a run");
        assert_eq!(run.bill.unpriced, 0);
        (run.bill.stack.total(), run.ended_at.expect("it is over") - run.begun_at)
    }

    /// Two turns of a session lie within what was foreseen; what of it they took, as parts of the
    /// highest cost.
    async fn holds(&self, what: &str, config: AgentConfig) -> f64 {
        let config = self.other_config(config).await;
        let mut taken = Money::ZERO;
        let question = "what is it? ".repeat(40);
        let foreseen = self.forecast(&config, &question).await;
        let [low, likely, high] = foreseen.cost.expect("all models have prices");
        assert!(low <= likely && likely <= high, "{what}: {low} {likely} {high}");
        for turn in 1..=2 {
            self.world.say(&"x".repeat(20_000));
            let (cost, millis) = self.turn(&config, &question).await;
            assert!(low <= cost && cost <= high, "{what}, turn {turn}: {low} {cost} {high}");
            let [_, _, longest] = foreseen.millis;
            assert!(millis <= longest, "{what}, turn {turn}: {millis} ms, foreseen {longest}");
            taken = taken.max(cost);
        }
        taken.dollars() / high.dollars()
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_costs_what_its_configuration_allows_whoever_answers() {
    let routing = json!({"classes": {"large": "large", "small": "small"}});
    let chain = json!([
        {"match": "first", "provider": "far", "fallback": ["second", "large"]},
        {"match": "*", "provider": "far"},
    ]);
    for greedy in [false, true] {
        let spender = |slow| Spender { greedy, slow, calls: AtomicUsize::default() };
        let one = bench(spender(0), any(), |_| {}).await;
        let part = one.holds("tools", plain()).await;
        assert!(!greedy || part > 0.01, "{part}: no bound that means anything");
        let bare = AgentConfig { groups: Vec::new(), ..plain() };
        one.holds("no tools", bare).await;
        let all = [Stage::PreProcessing, Stage::PostProcessing].map(stage).to_vec();
        one.holds("stages", AgentConfig { stages: all, ..plain() }).await;
        let memory = Some(MemoryConfig { storage_days: 30, max_recent_sessions: 2 });
        one.holds("memory", AgentConfig { memory, ..plain() }).await;
        for collaboration in [Collaboration::Supervisor, Collaboration::SupervisorRouter] {
            let team = supervisor(&one, collaboration).await;
            one.holds(&format!("{collaboration:?}"), team).await;
        }
        let table = serde_json::from_value(routing.clone()).expect("a table");
        let routed = bench(spender(0), any(), |parts| parts.gateway.routing = Some(table)).await;
        routed.holds("routing", plain()).await;
        let chained = bench(spender(2), chain.clone(), |_| {}).await;
        chained.holds("stand-ins", AgentConfig { model: "first".to_owned(), ..plain() }).await;
        let caps = serde_json::from_value(json!({"run": {"dollars": 0.5}})).expect("budgets");
        let capped = bench(spender(0), any(), |parts| parts.budgets = caps).await;
        let part = capped.holds("a cap", plain()).await;
        assert!(part <= 1.0 && (!greedy || part > 0.2), "{part} of the cap");
    }
}

/// A model that a step may go to is part of the bound, however cheap the agent's own is.
#[tokio::test(start_paused = true)]
async fn the_highest_is_that_of_the_dearest_way() {
    let spender = || Spender { greedy: false, slow: 0, calls: AtomicUsize::default() };
    let highest = async |bench: &Bench, config: AgentConfig| {
        let config = bench.other_config(config).await;
        bench.forecast(&config, "hello").await.cost.expect("priced")[2]
    };
    let one = bench(spender(), any(), |_| {}).await;
    let alone = highest(&one, plain()).await;
    let team = supervisor(&one, Collaboration::Supervisor).await;
    assert!(highest(&one, team).await > alone.times(100), "a collaborator on the large model");
    let post = AgentConfig { stages: vec![stage(Stage::PostProcessing)], ..plain() };
    assert!(highest(&one, post).await > alone, "one call more");
    let table = json!({"classes": {"large": "large", "small": "small"}});
    let table = serde_json::from_value(table).expect("a table");
    let routed = bench(spender(), any(), |parts| parts.gateway.routing = Some(table)).await;
    assert!(highest(&routed, plain()).await > alone.times(50), "a step may go to the large model");
    let caps = serde_json::from_value(json!({"enabled": true})).expect("budgets");
    let capped = bench(spender(), any(), |parts| parts.budgets = caps).await;
    let most = highest(&capped, plain()).await;
    // Three steps of 16,000 bytes and 4,000 tokens, each repeated as often as calls are; the tools.
    assert!(most < Money::of_dollars(1.0) && most > Money::of_dollars(0.1), "{most}");
    let foreseen = capped.forecast(&capped.other_config(plain()).await, "").await;
    assert!(foreseen.assumed[0].contains("4000 bytes"), "{:?}", foreseen.assumed);
}
