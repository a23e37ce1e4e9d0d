//! A session's history cut to size: whole exchanges only.

use std::sync::Arc;

use proptest::prelude::*;
use wire::converse::{Block, Message, ResultBlock, Role, ToolResult, ToolUse};

use super::script::{check_history, config, play, results};
use crate::agent::config::Retention;
use crate::agent::event::Event;
use crate::agent::history::{self, Exchange, Past, merged};
use crate::agent::origin::{Origin, Utterance};
use crate::agent::state::Turn;
use crate::agent::turn::Agent;

/// Exchanges as tool rounds and text length; an odd length means that the turn failed, so that
/// the next question joins its last message.
fn conversation(exchanges: &[(usize, usize)]) -> Vec<Utterance> {
    let mut messages: Vec<Message> = Vec::new();
    for (at, (rounds, length)) in exchanges.iter().enumerate() {
        user(&mut messages, Block::Text("q".repeat(length + 1)));
        for round in 0..*rounds {
            let id = format!("{at}-{round}");
            let used = ToolUse {
                tool_use_id: id.clone(),
                name: "t".to_owned(),
                input: serde_json::json!({"x": "y".repeat(*length)}),
            };
            let content = vec![Block::ToolUse(used)];
            messages.push(Message { role: Role::Assistant, content });
            let content = vec![ResultBlock::Text("r".repeat(length + 1))];
            let result = ToolResult { tool_use_id: id, content, status: None };
            user(&mut messages, Block::ToolResult(result));
        }
        if length % 2 == 0 {
            let content = vec![Block::Text("a".repeat(length + 1))];
            messages.push(Message { role: Role::Assistant, content });
        }
    }
    messages.into_iter().map(|message| Utterance::new(message, &Origin::User)).collect()
}

fn user(messages: &mut Vec<Message>, block: Block) {
    match messages.last_mut() {
        Some(last) if last.role == Role::User => last.content.push(block),
        _ => messages.push(Message { role: Role::User, content: vec![block] }),
    }
}

fn of_tokens(at: i64, tokens: usize) -> Arc<Exchange> {
    Arc::new(Exchange { run: String::new(), at, tokens, messages: Vec::new() })
}

/// How many exchanges of these tokens, the oldest at 0 and one a second, are read at `now`.
fn kept(retention: &Retention, tokens: &[usize], now: i64) -> usize {
    let exchanges = (0..).zip(tokens).map(|(at, tokens)| of_tokens(at * 1000, *tokens));
    let end = u32::try_from(tokens.len()).expect("few");
    let exchanges = exchanges.collect();
    let mut past = Past { thread: "t".to_owned(), end, exchanges, ..Past::default() };
    past.retain(retention, now);
    assert_eq!((past.end - past.first) as usize, past.exchanges.len());
    past.exchanges.len()
}

#[test]
fn the_last_ten_exchanges_are_kept_and_the_eleventh_is_not() {
    let ten = Retention { exchanges: Some(10), ..Retention::default() };
    assert_eq!(kept(&ten, &[1; 9], 0), 9);
    assert_eq!(kept(&ten, &[1; 10], 0), 10);
    assert_eq!(kept(&ten, &[1; 11], 0), 10);
}

#[test]
fn the_last_five_thousand_tokens_are_kept_and_not_one_more() {
    let few = Retention { tokens: Some(5_000), ..Retention::default() };
    assert_eq!(kept(&few, &[1_000, 4_000], 0), 2);
    assert_eq!(kept(&few, &[1_001, 4_000], 0), 1);
    assert_eq!(kept(&few, &[1, 4_000, 1_001], 0), 1, "nothing older than what did not fit");
    assert_eq!(kept(&few, &[7, 5_001], 0), 1, "the last exchange stays, however long");
}

#[test]
fn what_is_a_day_old_is_kept_to_the_second() {
    let day = Retention { hours: Some(24), ..Retention::default() };
    let day_millis = 24 * 3_600_000;
    assert_eq!(kept(&day, &[1, 1], day_millis - 1_000), 2);
    assert_eq!(kept(&day, &[1, 1], day_millis), 1);
    assert_eq!(kept(&day, &[1, 1], day_millis + 1_000), 0);
}

#[test]
fn what_is_thirty_days_old_is_kept_to_the_second() {
    let month = Retention { days: Some(30), ..Retention::default() };
    let month_millis = 30 * 24 * 3_600_000;
    assert_eq!(kept(&month, &[1, 1], month_millis - 1_000), 2);
    assert_eq!(kept(&month, &[1, 1], month_millis), 1);
    assert_eq!(kept(&month, &[1, 1], month_millis + 1_000), 0);
}

#[test]
fn each_cap_holds_by_itself() {
    let all = Retention { exchanges: Some(3), tokens: Some(20), hours: Some(1), days: Some(1) };
    assert_eq!(kept(&all, &[5; 9], 9_000), 3);
    assert_eq!(kept(&all, &[11; 9], 9_000), 1);
    assert_eq!(kept(&all, &[1; 9], 3_600_000 + 7_000), 1);
    assert_eq!(kept(&Retention::default(), &[9_999; 99], i64::MAX), 99);
}

proptest! {
    #[test]
    fn a_cut_never_splits_an_exchange(
        exchanges in prop::collection::vec((0usize..3, 0usize..80), 1..8),
        dropped in 0usize..8,
    ) {
        let whole = conversation(&exchanges);
        let mut parts = history::exchanges("run", 1, &whole);
        // Nothing is lost, and each part can be sent without those before it.
        let again = parts.iter().flat_map(|part| &part.messages);
        prop_assert_eq!(merged(again), merged(whole.iter()));
        parts.drain(..dropped.min(parts.len() - 1));
        let kept = merged(parts.iter().flat_map(|part| &part.messages));
        prop_assert!(results(&kept[0]).is_empty());
        let kept = kept.into_iter().map(|message| Utterance::new(message, &Origin::User));
        check_history(&kept.collect::<Vec<_>>());
    }
}

#[test]
fn a_conversation_is_given_to_fresh_sessions_only() {
    let carried = |past: Past| {
        let mut events = play("user: go", Agent::new(config()).expect("it compiles"), None).events;
        if let [Event::Accepted(accepted), Event::Started(started), ..] = &mut events[..] {
            let content = vec![Block::Text("we met".to_owned())];
            accepted.conversation = vec![Message { role: Role::User, content }];
            started.past = past;
        }
        Turn::replay(&events).carried.len()
    };
    assert_eq!(carried(Past::default()), 1);
    // The session's own exchanges have all fallen out of its retention.
    let forgotten = Past { thread: "t".to_owned(), first: 3, end: 3, ..Past::default() };
    assert_eq!(carried(forgotten), 0);
}

#[test]
fn a_file_counts_for_what_a_model_reads_of_it_and_not_for_its_base64() {
    let tokens = |block| {
        let message = Message { role: Role::User, content: vec![block] };
        Exchange::new("r", 1, vec![Utterance::new(message, &Origin::User)]).tokens
    };
    let base64 = "A".repeat(2_000_000);
    let file = |format: &str| serde_json::json!({"format": format, "name": "n", "source": {"bytes": base64}});
    assert_eq!(tokens(Block::Image(file("png"))), 1_604);
    assert_eq!(tokens(Block::Document(file("pdf"))), 15_004);
    assert_eq!(tokens(Block::Document(file("csv"))), 375_004);
}
