//! Journals as releases wrote them: each must still be read, and add up to the same turn.

use std::sync::Arc;

use serde_json::Value as Json;
use wire::converse::Role;

use super::script::{check_history, config, play};
use crate::agent::event::Event;
use crate::agent::history::Exchange;
use crate::agent::state::{End, Turn};
use crate::agent::turn::Agent;

#[test]
fn a_journal_of_the_first_version_still_applies() {
    let stamped: Vec<Json> =
        serde_json::from_str(include_str!("journals/version-1.json")).expect("JSON");
    let event = |stamped: &Json| serde_json::from_value::<Event>(stamped["event"].clone());
    let events: Vec<Event> = stamped.iter().map(|s| event(s).expect("a known event")).collect();
    let turn = Turn::replay(&events);
    check_history(&turn.messages);
    assert_eq!(turn.end, Some(End::Answered("Order 4471 is refunded.".to_owned())));
    let replies = turn.messages.iter().filter(|m| m.role == Role::Assistant).count();
    assert_eq!((turn.steps, replies, turn.usage.output_tokens), (4, 4, 14));
    assert_eq!(turn.session_attributes.get("customer").map(String::as_str), Some("c-1"));
}

/// Each turn's first use is `call_0`, as many servers number them; the second turn waits for its client.
const PARKED: &str = "user: again; model: use client__ask#call_0{x:1}";
const PARSED: &str = r#"stages: ORCHESTRATION; user: again; model: ASK; parser: {"verdict":"calls","calls":[{"toolUseId":"call_0","name":"client__ask","input":{"x":1}}]}"#;

#[test]
fn a_journal_reads_the_same_once_the_session_before_it_is_deleted() {
    for script in [PARKED, PARSED] {
        let agent = || Agent::new(config()).expect("it compiles");
        let first = "user: go; model: use g__read#call_0{x:1}; tool call_0: one; model: done";
        let first = play(first, agent(), None).turn;
        let mut second = play(script, agent(), Some(first));
        let ids = |turn: &Turn| -> Vec<String> {
            turn.handed_off().iter().map(|used| used.tool_use_id.clone()).collect()
        };
        assert_eq!(ids(&second.turn), ["call_0_0"]);
        for past in second.events.iter_mut().filter_map(Event::started_mut) {
            past.past.exchanges.fill(Arc::new(Exchange::deleted()));
        }
        assert_eq!(ids(&Turn::replay(&second.events)), ["call_0_0"]);
    }
}
