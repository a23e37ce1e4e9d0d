//! Journals as releases wrote them: each must still be read, and add up to the same turn.

use serde_json::Value as Json;
use wire::converse::Role;

use super::script::check_history;
use crate::agent::event::Event;
use crate::agent::state::{End, Turn};

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
