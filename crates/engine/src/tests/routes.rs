//! Routes of agents' calls: data that stays local wherever it goes, and routers that choose for a step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use craton_core::agent::config::{AgentConfig, Collaboration, Collaborator, MemoryConfig};
use craton_core::agent::event::{Event, Intent};
use llm::{Models, Provider};
use serde_json::json;
use store::Batch;

use super::{Bench, parse};
use crate::journal;
use crate::limits::Limits;
use crate::model::PromptRouter;
use crate::request::{Input, TurnRequest};
use crate::run::innermost;
use crate::sim::world::{Model, config};

/// A bench whose agents ask for models of `cloud`, which is not local, and its canary; `home` is local.
async fn bench(home: Model) -> (Bench, Arc<Model>) {
    let (home, cloud) = (Arc::new(home), Arc::new(Model::new(Vec::new())));
    let rules = json!([
        {"match": "home", "provider": "home", "class": "small"},
        {"match": "home*", "provider": "home"},
        {"match": "*", "provider": "cloud"},
    ]);
    let local = serde_json::from_value(json!({"local": true})).expect("settings");
    let models = Models::of(
        [
            ("home".to_owned(), local, home.clone() as Arc<dyn Provider>),
            ("cloud".to_owned(), Default::default(), cloud.clone() as Arc<dyn Provider>),
        ],
        serde_json::from_value(rules).expect("rules"),
    );
    (Bench::of(models, home, Limits::default()).await, cloud)
}

fn calls(model: &Model) -> usize {
    model.calls.load(Ordering::SeqCst)
}

fn asks(bench: &Bench, session: &str, memory: &str, class: Option<&str>) -> TurnRequest {
    let attributes = class.map(|class| ("craton:data-class".to_owned(), class.to_owned()));
    TurnRequest {
        session_id: session.to_owned(),
        memory_id: Some(memory.to_owned()),
        session_attributes: Some(attributes.into_iter().collect()),
        ..bench.request("go")
    }
}

/// J6: what was said as restricted is in later turns, in the summary, and in what the memory tells others.
#[tokio::test(start_paused = true)]
async fn restricted_words_stay_local_in_all_that_is_made_of_them() {
    let (mut bench, cloud) = bench(Model::new(Vec::new())).await;
    bench.model.summaries.lock().expect("no panic").push_back("<summary>ill</summary>".to_owned());
    let memory = Some(MemoryConfig { storage_days: 30, max_recent_sessions: 2 });
    bench.config = bench.other_config(AgentConfig { memory, ..config() }).await;
    assert_eq!(bench.hear(asks(&bench, "one", "ann", Some("restricted"))).await, "[heard 1]");
    assert_eq!(bench.hear(asks(&bench, "one", "ann", Some("public"))).await, "[heard 2]");
    let end = TurnRequest { input: Input::EndSession, ..asks(&bench, "one", "ann", None) };
    bench.hear(end).await;
    bench.quiet().await;
    assert_eq!(bench.hear(asks(&bench, "two", "ann", None)).await, "[heard 1]");
    assert_eq!((calls(&bench.model), calls(&cloud)), (4, 0));
    assert_eq!(bench.hear(asks(&bench, "three", "bob", None)).await, "[heard 1]");
    assert_eq!((calls(&bench.model), calls(&cloud)), (4, 1));
}

/// J6: a collaborator works on its supervisor's data.
#[tokio::test(start_paused = true)]
async fn the_team_of_a_restricted_turn_stays_local() {
    let boss = vec![parse(0, "<answer>asked</answer>")];
    let (mut bench, cloud) = bench(Model::new(boss)).await;
    bench.model.summaries.lock().expect("no panic").push_back("<a>billing</a>".to_owned());
    let billing = AgentConfig { agent_id: "BILLING".to_owned(), ..config() };
    let collaborator = Collaborator {
        name: "billing".to_owned(),
        instruction: "asked about bills".to_owned(),
        relay: false,
        agent_id: "BILLING".to_owned(),
        alias_id: "ALIAS".to_owned(),
        alias_arn: "arn:billing".to_owned(),
        config: bench.other_config(billing).await,
    };
    let boss = AgentConfig {
        collaboration: Collaboration::SupervisorRouter,
        collaborators: vec![collaborator],
        ..config()
    };
    bench.config = bench.other_config(boss).await;
    let class = BTreeMap::from([("data-class".to_owned(), "restricted".to_owned())]);
    let request = TurnRequest { session_attributes: Some(class), ..bench.request("go") };
    assert_eq!(bench.hear(request).await, "[asked]");
    assert_eq!((calls(&bench.model), calls(&cloud)), (2, 0));
}

/// The choice of a prompt router is an event: whoever reads the run reads no router.
#[tokio::test(start_paused = true)]
async fn the_choice_of_an_agent_s_prompt_router_is_part_of_the_run() {
    let (mut bench, cloud) = bench(Model::new(Vec::new())).await;
    let arn = "arn:aws:bedrock:us-east-1:000000000000:prompt-router/r";
    let router = json!({
        "id": "r", "name": "r", "models": ["home-big"], "fallback": "little",
        "responseQualityDifference": 5.0, "createdAt": 0,
    });
    let router: PromptRouter = serde_json::from_value(router).expect("a router");
    let mut batch = Batch::new(&bench.tenant, 0);
    batch.put("r", &router);
    bench.store.commit(batch).await.expect("a store");
    for (instruction, chosen) in [("do it", "little"), (&*"If so, go on. ".repeat(12), "home-big")]
    {
        let instruction = instruction.to_owned();
        let of_router = AgentConfig { model: arn.to_owned(), instruction, ..config() };
        bench.config = bench.other_config(of_router).await;
        let request = bench.request("go");
        let run = request.request.clone();
        bench.hear(request).await;
        let (events, _) = journal::load(&bench.engine.0, &bench.tenant, &run).await.expect("a run");
        let routes = events.iter().filter_map(|stamped| match innermost(&stamped.event).1 {
            Event::Asked(Intent::AskModel(ask)) => ask.route.clone(),
            _ => None,
        });
        let routes: Vec<_> = routes.map(|route| (route.model, route.reason)).collect();
        assert_eq!(routes.len(), 1);
        assert_eq!(routes[0].0, chosen);
        assert!(routes[0].1.starts_with("prompt router: index "), "{}", routes[0].1);
    }
    assert_eq!((calls(&bench.model), calls(&cloud)), (1, 1));
}
