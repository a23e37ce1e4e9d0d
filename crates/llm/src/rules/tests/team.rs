//! Supervisors and routing classifiers: who is asked what, and what is said of what came back.

use expect_test::{Expect, expect};
use serde_json::json;
use wire::converse::{Block, Message, Role, Tool};

use super::{call, check, shop, tool};
use crate::rules::reply;

const TEAM: &str = "The collaborators:
- billing: Charges, invoices and refunds: what was charged, duplicate charges, paying money back.
- orders: Orders and parcels: where an order is, its items, delivery and tracking.
- hotels: Books rooms.";

fn supervisor() -> Vec<Tool> {
    let names = json!({"type": "string", "enum": ["billing", "orders", "hotels"]});
    let properties = json!({"recipient": names, "content": {"type": "string"}});
    let about = format!("Sends a message to one of your collaborators. {TEAM}");
    vec![tool("AgentCommunication__sendMessage", &about, properties, &["recipient", "content"])]
}

#[test]
fn a_request_goes_to_whom_its_words_are_for() {
    check(
        supervisor(),
        "user: Where is my parcel for order 4471?
         result: It is in Ghent.
         user: and when does it come?
         result: On Friday.",
        expect![[r#"
            → AgentCommunication__sendMessage {"content":"Where is my parcel for order 4471?","recipient":"orders"}
            = It is in Ghent.
            → AgentCommunication__sendMessage {"content":"and when does it come?","recipient":"orders"}
            = On Friday.
        "#]],
    );
}

#[test]
fn each_part_goes_to_its_own_collaborator() {
    check(
        supervisor(),
        "user: Refund the duplicate charge of 20 euros. Where is order 4471? It is urgent.
         result: 20 euros are refunded.
         result: It is in Ghent.",
        expect![[r#"
            → AgentCommunication__sendMessage {"content":"Refund the duplicate charge of 20 euros.","recipient":"billing"}
            → AgentCommunication__sendMessage {"content":"Where is order 4471? It is urgent.","recipient":"orders"}
            = 20 euros are refunded.
            It is in Ghent.
        "#]],
    );
}

#[test]
fn what_one_could_not_do_is_said_as_such() {
    check(
        supervisor(),
        "user: Refund my invoice 7 and track order 4471
         error: collaborator_failed: billing: overloaded; do what you can without it
         result: It is in Ghent.",
        expect![[r#"
            → AgentCommunication__sendMessage {"content":"Refund my invoice 7","recipient":"billing"}
            → AgentCommunication__sendMessage {"content":"track order 4471","recipient":"orders"}
            = billing could not help with its part.
            It is in Ghent.
        "#]],
    );
}

#[test]
fn what_is_for_nobody_is_not_passed_on() {
    check(
        supervisor(),
        "user: Hello there",
        expect![[r#"
        = I am Craton's rule-based stand-in, not a language model; without tools I cannot answer this.
    "#]],
    );
}

#[test]
fn own_tools_go_before_collaborators() {
    let mut tools = shop();
    tools.extend(supervisor());
    check(
        tools,
        "user: Where is my order 4471?
         result: {\"status\": \"shipped\"}",
        expect![[r#"
            → orders__get_order {"order_id":"4471"}
            = Order 4471: status shipped.
        "#]],
    );
}

fn check_route(said: &str, last: bool, expected: &Expect) {
    let keep = if last { "Write <a>keep_previous_agent</a> if it goes on." } else { "" };
    let (_, team) = TEAM.split_once('\n').expect("lines");
    let text = format!(
        "<agents>\n{team}\n</agents>\n<input>\n{said}\n</input>\nWrite the name between <a> and \
         </a>, or <a>undecidable</a>. {keep}"
    );
    let mut asked = call(Vec::new(), Vec::new());
    asked.messages.push(Message { role: Role::User, content: vec![Block::Text(text)] });
    let Block::Text(word) = &reply(&asked).content[0] else { panic!("a word") };
    expected.assert_eq(word);
}

#[test]
fn a_classifier_names_the_one_agent_or_says_that_it_cannot() {
    check_route("Where is my parcel?", false, &expect!["<a>orders</a>"]);
    check_route("Book me a room", false, &expect!["<a>hotels</a>"]);
    check_route("Refund the invoice. Where is my parcel?", false, &expect!["<a>undecidable</a>"]);
    check_route("What is the meaning of life?", false, &expect!["<a>undecidable</a>"]);
    check_route("yes, please", true, &expect!["<a>keep_previous_agent</a>"]);
}
