//! Supervisors that hand whole turns over, as their client hears them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use craton_core::agent::config::{AgentConfig, Collaboration, Collaborator, Stage, StageConfig};
use llm::ModelErrorKind::Unavailable;
use llm::Models;

use super::{Bench, heard, parse};
use crate::limits::Limits;
use crate::request::TurnRequest;
use crate::sim::world::{Mishap, Model, config};

/// A router over one collaborator, `billing`, which says the script. What the models of the other
/// stages say, in their order, is `asides`.
async fn router(script: &[&str], asides: &[&str], stages: &[Stage]) -> Bench {
    let replies = script.iter().enumerate().map(|(at, text)| parse(at, text)).collect();
    let others = BTreeMap::from([("billing".to_owned(), replies)]);
    let model = Arc::new(Model::new(Vec::new()).with(others));
    model.summaries.lock().expect("no panic").extend(asides.iter().map(|text| (*text).to_owned()));
    let mut bench = Bench::of(Models::single(model.clone()), model, Limits::default()).await;
    let billing =
        AgentConfig { agent_id: "BILLING".to_owned(), model: "billing".to_owned(), ..config() };
    let collaborator = Collaborator {
        name: "billing".to_owned(),
        instruction: "asked about bills".to_owned(),
        relay: false,
        agent_id: "BILLING".to_owned(),
        alias_id: "ALIAS".to_owned(),
        alias_arn: "arn:billing".to_owned(),
        config: bench.other_config(billing).await,
    };
    let stage = |stage: &Stage| StageConfig {
        stage: *stage,
        enabled: true,
        template: None,
        inference: None,
        model: None,
        additional: serde_json::Value::Null,
        parser: false,
    };
    let boss = AgentConfig {
        collaboration: Collaboration::SupervisorRouter,
        collaborators: vec![collaborator],
        stages: stages.iter().map(stage).collect(),
        ..config()
    };
    bench.config = bench.other_config(boss).await;
    bench
}

fn streaming(request: TurnRequest) -> TurnRequest {
    TurnRequest { stream: true, ..request }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_worded_anew_is_held_back_after_a_hand_off_as_well() {
    let script = ["use client__ask 1", "<answer>raw</answer>"];
    let asides = ["<a>billing</a>", "<final_response>worded</final_response>"];
    let bench = router(&script, &asides, &[Stage::PostProcessing]).await;
    let results = bench.hand_off_of(streaming(bench.request("go"))).await;
    assert_eq!(bench.hear(streaming(bench.request_of(results))).await, "[worded]");
}

#[tokio::test(start_paused = true)]
async fn half_of_an_answer_is_never_followed_by_another() {
    let bench = router(&["use g__read 1"], &["<a>billing</a>"], &[]).await;
    bench.world.mishap(Mishap::Slow(5));
    let hearing = bench.engine.invoke(streaming(bench.request("go"))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.model.fail(Unavailable, true);
    let told = heard(hearing).await;
    assert_eq!(told, "[half of][DependencyFailedException: the model broke off (CR0013)]");
}

#[tokio::test(start_paused = true)]
async fn the_effect_class_of_a_function_is_looked_up_once_for_a_team() {
    let bench = router(&["<answer>done</answer>"], &["<a>billing</a>"], &[]).await;
    assert_eq!(bench.ask("go").await, "[done]");
    assert_eq!(bench.world.looked_up.load(Ordering::SeqCst), 7, "one look per function");
}
