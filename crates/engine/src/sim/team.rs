//! The same for a supervisor: its collaborators work side by side, call tools, hand calls to the
//! client and ask collaborators of their own, and the process dies at every commit of it.

use std::collections::BTreeMap;

use craton_core::agent::config::{AgentConfig, Collaboration, Collaborator};
use craton_core::agent::team::SEND_MESSAGE;
use serde_json::json;
use wire::converse::{Block, Reply, StopReason, ToolUse};

use super::world::{config, reply};
use super::{Dice, Play, check, tool_use};
use crate::record::Pinned;

/// Two collaborators, of which the second has one of its own.
pub(super) fn play(seed: u64) -> Play {
    let stock = Pinned { config: named("stock", &[]) };
    let billing = Pinned { config: named("billing", &[]) };
    let orders = Pinned { config: named("orders", &[("stock", &stock)]) };
    let team = [("billing", &billing), ("orders", &orders)];
    let boss = AgentConfig { agent_id: "AGENT".to_owned(), ..named("boss", &team) };
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let script = (0..2).map(|turn| asked(turn, &mut dice)).collect();
    let members = BTreeMap::from([
        ("billing".to_owned(), works(1, None, &mut dice)),
        ("orders".to_owned(), works(2, Some("stock"), &mut dice)),
        ("stock".to_owned(), works(3, None, &mut dice)),
    ]);
    let agents = vec![stock, billing, orders, Pinned { config: boss }];
    Play { script, agents, members, ..Play::alone(seed) }
}

/// An agent whose model has its name.
pub(crate) fn named(name: &str, team: &[(&str, &Pinned)]) -> AgentConfig {
    let one = |(name, pinned): &(&str, &Pinned)| Collaborator {
        name: (*name).to_owned(),
        instruction: format!("asked about {name}"),
        relay: false,
        agent_id: name.to_uppercase(),
        alias_id: "ALIAS".to_owned(),
        alias_arn: format!("arn:{name}"),
        config: pinned.digest(),
    };
    AgentConfig {
        agent_id: name.to_uppercase(),
        model: name.to_owned(),
        collaboration: if team.is_empty() {
            Collaboration::Disabled
        } else {
            Collaboration::Supervisor
        },
        collaborators: team.iter().map(one).collect(),
        ..config()
    }
}

/// Both collaborators side by side with a tool of the supervisor's own, then perhaps one again.
fn asked(turn: u64, dice: &mut Dice) -> Vec<Reply> {
    let mut uses =
        vec![tell("billing", turn, 0), tell("orders", turn, 1), tool_use(turn, 0, 2, dice)];
    if dice.roll(2) == 0 {
        uses.push(tell("billing", turn, 3));
    }
    let answer = Block::Text(format!("<answer>done {turn}</answer>"));
    vec![reply(uses, StopReason::ToolUse), reply(vec![answer], StopReason::EndTurn)]
}

pub(crate) fn tell(name: &str, turn: u64, n: u64) -> Block {
    Block::ToolUse(ToolUse {
        tool_use_id: format!("tell{turn}-{n}"),
        name: SEND_MESSAGE.to_owned(),
        input: json!({"recipient": name, "content": format!("message {turn}-{n}")}),
    })
}

/// A few replies with tools, an answer after each.
fn works(who: u64, asks: Option<&str>, dice: &mut Dice) -> Vec<Reply> {
    let mut replies = Vec::new();
    for n in 0..2 {
        let more = 1 + dice.roll(2);
        let mut uses: Vec<Block> =
            (0..more).map(|at| tool_use(who * 10 + n, n, at, dice)).collect();
        uses.extend(asks.map(|name| tell(name, who * 10 + n, 9)));
        replies.push(reply(uses, StopReason::ToolUse));
        let answer = Block::Text(format!("<answer>part {who} of {n}</answer>"));
        replies.push(reply(vec![answer], StopReason::EndTurn));
    }
    replies
}

#[test]
fn a_team_survives_a_crash_at_any_commit() {
    let crashes: usize = std::thread::scope(|scope| {
        let play = |seed| scope.spawn(move || check(seed, &play(seed)));
        let seeds: Vec<_> = (1..=4).map(play).collect();
        seeds.into_iter().map(|seed| seed.join().expect("the seed holds")).sum()
    });
    assert!(crashes > 80, "the scripts are long enough to be worth it: {crashes} crashes");
}
