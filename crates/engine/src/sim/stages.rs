//! The same for an agent with every stage on and a parser function: the process dies at every
//! commit of it.

use std::collections::BTreeMap;

use craton_core::agent::config::{AgentConfig, Stage, StageConfig};
use serde_json::Value as Json;
use wire::converse::{Block, StopReason};

use super::world::{config, reply};
use super::{Play, check};
use crate::record::Pinned;

fn play(seed: u64) -> Play {
    let stage = |stage, model: &str, parser| StageConfig {
        stage,
        enabled: true,
        template: None,
        inference: None,
        model: Some(model.to_owned()),
        additional: Json::Null,
        parser,
    };
    let config = AgentConfig {
        stages: vec![
            stage(Stage::PreProcessing, "judge", false),
            stage(Stage::Orchestration, "model", true),
            stage(Stage::PostProcessing, "editor", false),
        ],
        parser: Some("arn:aws:lambda:us-east-1:1:function:parser".to_owned()),
        ..config()
    };
    let says = |text: &str| vec![reply(vec![Block::Text(text.to_owned())], StopReason::EndTurn)];
    let members = BTreeMap::from([
        ("judge".to_owned(), says("<category>D</category>")),
        ("editor".to_owned(), says("<final_response>edited</final_response>")),
    ]);
    Play { agents: vec![Pinned { config }], members, ..Play::alone(seed) }
}

#[test]
fn stages_and_a_parser_function_survive_a_crash_at_any_commit() {
    let crashes: usize = std::thread::scope(|scope| {
        let play = |seed| scope.spawn(move || check(seed, &play(seed)));
        let seeds: Vec<_> = (11..=13).map(play).collect();
        seeds.into_iter().map(|seed| seed.join().expect("the seed holds")).sum()
    });
    assert!(crashes > 60, "the scripts are long enough to be worth it: {crashes} crashes");
}
