//! What a supervisor and its collaborators decide, told as scripts.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use wire::converse::Block;

use super::script::{config, play, staged};
use crate::agent::call;
use crate::agent::config::{AgentConfig, Collaboration, Collaborator};
use crate::agent::event::{Event, Purpose};
use crate::agent::recall::Recall;
use crate::agent::state::{End, Turn};
use crate::agent::turn::Agent;

#[track_caller]
fn check(script: &str, expected: &Expect) {
    expected.assert_eq(&play(script, supervisor(Collaboration::Supervisor), None).told());
}

/// Two collaborators with the tools of the other tests; `orders` has one of its own, `stock`.
fn supervisor(collaboration: Collaboration) -> Agent {
    let stock = Arc::new(alone("STOCK"));
    let orders = team(Collaboration::Supervisor, vec![("stock", false, stock)]);
    let billing = Arc::new(alone("BILLING"));
    team(collaboration, vec![("billing", false, billing), ("orders", true, Arc::new(orders))])
}

fn alone(id: &str) -> Agent {
    let config = AgentConfig { agent_id: id.to_owned(), ..config() };
    Agent::new(config).expect("it compiles")
}

fn team(collaboration: Collaboration, members: Vec<(&str, bool, Arc<Agent>)>) -> Agent {
    let one = |(name, relay, _): &(&str, bool, Arc<Agent>)| Collaborator {
        name: (*name).to_owned(),
        instruction: format!("asked about {name}"),
        relay: *relay,
        agent_id: name.to_uppercase(),
        alias_id: "B".to_owned(),
        alias_arn: format!("arn:{name}"),
        config: "c".to_owned(),
    };
    let collaborators = members.iter().map(one).collect();
    let config = AgentConfig { collaboration, collaborators, ..config() };
    let members = members.into_iter().map(|(name, _, agent)| (name.to_owned(), agent));
    Agent::with_members(config, members.collect::<BTreeMap<_, _>>()).expect("it compiles")
}

#[test]
fn two_collaborators_work_side_by_side() {
    check(
        "user: both; model: tell billing refund 7, tell orders find 7; \
         u2/model: use g__read{x:7}; u1/model: <answer>refunded</answer>; u2/tool u3: found; \
         u2/model: it is here; model: all done",
        &expect![[r#"
            user: both
              -> ask model 1
            model: tell billing refund 7, tell orders find 7
              -> billing begins as run-1-1 on "refund 7"
              -> orders begins as run-1-2 on "find 7"
              -> u1/ask model 1
              -> u2/ask model 1
            u2/model: use g__read{x:7}
              -> u2/call u3 g__read{"x":7}
            u1/model: <answer>refunded</answer>
              -> u1/finish "refunded"
              -> u1 reports "refunded"
            u2/tool u3: found
              -> u2/ask model 2
            u2/model: it is here
              -> u2/finish "it is here"
              -> u2 reports "it is here"
              -> ask model 2
            model: all done
              -> finish "all done"
            history
              user: "both"
              assistant: u1 AgentCommunication__sendMessage{"content":"refund 7","recipient":"billing"}, u2 AgentCommunication__sendMessage{"content":"find 7","recipient":"orders"}
              user: u1 = refunded, u2 = it is here
              assistant: "all done"
            thread billing
              user: "refund 7"
              assistant: "<answer>refunded</answer>"
            thread orders
              user: "find 7"
              assistant: u3 g__read{"x":7}
              user: u3 = found
              assistant: "it is here"
        "#]],
    );
}

#[test]
fn the_same_collaborator_does_one_thing_after_the_other() {
    check(
        "user: go; model: tell billing one, tell billing two; u1/model: done one; \
         u2/model: done two; model: both done",
        &expect![[r#"
            user: go
              -> ask model 1
            model: tell billing one, tell billing two
              -> billing begins as run-1-1 on "one"
              -> u1/ask model 1
            u1/model: done one
              -> u1/finish "done one"
              -> u1 reports "done one"
              -> billing begins as run-1-2 on "two"
              -> u2/ask model 1
            u2/model: done two
              -> u2/finish "done two"
              -> u2 reports "done two"
              -> ask model 2
            model: both done
              -> finish "both done"
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"content":"one","recipient":"billing"}, u2 AgentCommunication__sendMessage{"content":"two","recipient":"billing"}
              user: u1 = done one, u2 = done two
              assistant: "both done"
            thread billing
              user: "one"
              assistant: "done one"
              user: "two"
              assistant: "done two"
        "#]],
    );
}

#[test]
fn a_message_to_nobody_is_repaired() {
    check(
        "user: go; model: tell nobody hi, tell User hi; model: tell billing hi; u3/model: hello; \
         model: fine",
        &expect![[r#"
            user: go
              -> ask model 1
            model: tell nobody hi, tell User hi
              -> refuse u1 InvalidArguments: invalid_arguments: recipient: expected one of ["billing","orders"], got string "nobody"; the tool was not called, correct the arguments and try again
              -> refuse u2 InvalidArguments: invalid_arguments: recipient: User is no collaborator; answer the user with text, without this tool; the tool was not called, correct the arguments and try again
              -> ask model 2
            model: tell billing hi
              -> billing begins as run-2-1 on "hi"
              -> u3/ask model 1
            u3/model: hello
              -> u3/finish "hello"
              -> u3 reports "hello"
              -> ask model 3
            model: fine
              -> finish "fine"
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"content":"hi","recipient":"nobody"}, u2 AgentCommunication__sendMessage{"content":"hi","recipient":"User"}
              user: u1 ! invalid_arguments, u2 ! invalid_arguments
              assistant: u3 AgentCommunication__sendMessage{"content":"hi","recipient":"billing"}
              user: u3 = hello
              assistant: "fine"
            thread billing
              user: "hi"
              assistant: "hello"
        "#]],
    );
}

#[test]
fn a_collaborator_that_fails_does_not_sink_the_turn() {
    check(
        "user: go; model: tell billing one, tell orders two; u1/model fails: overloaded; \
         u2/model: use g__once{x:1}; u2/tool u3 fails: no such order; model: sorry",
        &expect![[r#"
            user: go
              -> ask model 1
            model: tell billing one, tell orders two
              -> billing begins as run-1-1 on "one"
              -> orders begins as run-1-2 on "two"
              -> u1/ask model 1
              -> u2/ask model 1
            u1/model fails: overloaded
              -> u1 reports Error { message: "collaborator_failed: billing: overloaded; do what you can without it, or tell the user" }
            u2/model: use g__once{x:1}
              -> u2/call u3 g__once{"x":1}
            u2/tool u3 fails: no such order
              -> u2 reports Error { message: "collaborator_failed: orders: no such order; do what you can without it, or tell the user" }
              -> ask model 2
            model: sorry
              -> finish "sorry"
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"content":"one","recipient":"billing"}, u2 AgentCommunication__sendMessage{"content":"two","recipient":"orders"}
              user: u1 ! collaborator_failed, u2 ! collaborator_failed
              assistant: "sorry"
            thread billing
              user: "one"
            thread orders
              user: "two"
              assistant: u3 g__once{"x":1}
              user: u3 ! no such order
        "#]],
    );
}

#[test]
fn a_call_of_unknown_outcome_is_the_sessions() {
    check(
        "user: go; model: tell billing refund; u1/model: use g__once{x:1}; \
         u1/tool u2 lost: unknown_outcome; u1/model: a person has to look; \
         model: tell orders refund; u3/model: use g__once{x:1}; u3/model: not again; model: wait",
        &expect![[r#"
            user: go
              -> ask model 1
            model: tell billing refund
              -> billing begins as run-1-1 on "refund"
              -> u1/ask model 1
            u1/model: use g__once{x:1}
              -> u1/call u2 g__once{"x":1}
            u1/tool u2 lost: unknown_outcome
              -> u1/ask model 2
            u1/model: a person has to look
              -> u1/finish "a person has to look"
              -> u1 reports "a person has to look"
              -> ask model 2
            model: tell orders refund
              -> orders begins as run-2-1 on "refund"
              -> u3/ask model 1
            u3/model: use g__once{x:1}
              -> u3/refuse u4 UnknownOutcome: unknown_outcome: an identical call of g__once was sent before and its outcome is unknown; it is not repeated, tell the user that it has to be looked at by a person
              -> u3/ask model 2
            u3/model: not again
              -> u3/finish "not again"
              -> u3 reports "not again"
              -> ask model 3
            model: wait
              -> finish "wait"
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"content":"refund","recipient":"billing"}
              user: u1 = a person has to look
              assistant: u3 AgentCommunication__sendMessage{"content":"refund","recipient":"orders"}
              user: u3 = not again
              assistant: "wait"
            thread billing
              user: "refund"
              assistant: u2 g__once{"x":1}
              user: u2 ! unknown_outcome
              assistant: "a person has to look"
            thread orders
              user: "refund"
              assistant: u4 g__once{"x":1}
              user: u4 ! unknown_outcome
              assistant: "not again"
            unknown g__once{"x":1}
        "#]],
    );
}

#[test]
fn whoever_is_called_off_leaves_valid_conversations_and_says_what_is_unknown() {
    check(
        "user: go; model: tell billing refund, tell orders find, use g__read{x:9}; \
         u1/model: use g__once{x:1}, use client__ask{x:2}; \
         u2/model: tell stock count; cancel: by an operator",
        &expect![[r#"
            user: go
              -> ask model 1
            model: tell billing refund, tell orders find, use g__read{x:9}
              -> billing begins as run-1-1 on "refund"
              -> orders begins as run-1-2 on "find"
              -> call u3 g__read{"x":9}
              -> u1/ask model 1
              -> u2/ask model 1
            u1/model: use g__once{x:1}, use client__ask{x:2}
              -> u1/call u4 g__once{"x":1}
            u2/model: tell stock count
              -> u2/stock begins as run-1-2-1-1 on "count"
              -> u2/u6/ask model 1
            cancel: by an operator
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"content":"refund","recipient":"billing"}, u2 AgentCommunication__sendMessage{"content":"find","recipient":"orders"}, u3 g__read{"x":9}
              user: u1 ! unknown_outcome, u2 ! cancelled, u3 ! cancelled
            thread billing
              user: "refund"
              assistant: u4 g__once{"x":1}, u5 client__ask{"x":2}
              user: u4 ! unknown_outcome, u5 ! cancelled
            thread orders
              user: "find"
              assistant: u6 AgentCommunication__sendMessage{"content":"count","recipient":"stock"}
              user: u6 ! cancelled
            thread orders>stock
              user: "count"
            unknown g__once{"x":1}
        "#]],
    );
}

#[test]
fn the_calls_of_parked_collaborators_go_to_the_client_together() {
    check(
        "user: go; model: tell billing ask, tell orders ask, use client__ask{x:0}; \
         u1/model: use client__ask{x:1}, use client__ask{x:2}; \
         u2/model: tell stock ask; u2/u6/model: use client__ask{x:3}; \
         client: u3 = zero, u1/u4 = one, u1/u5 = two, u2/u6/u7 = three; \
         u2/u6/model: three; u1/model: one and two; u2/model: it says three; model: done",
        &expect![[r#"
            user: go
              -> ask model 1
            model: tell billing ask, tell orders ask, use client__ask{x:0}
              -> billing begins as run-1-1 on "ask"
              -> orders begins as run-1-2 on "ask"
              -> u1/ask model 1
              -> u2/ask model 1
            u1/model: use client__ask{x:1}, use client__ask{x:2}
              -> u1/hand off u4 u5
            u2/model: tell stock ask
              -> u2/stock begins as run-1-2-1-1 on "ask"
              -> u2/u6/ask model 1
            u2/u6/model: use client__ask{x:3}
              -> u2/u6/hand off u7
              -> u2/hand off [] and those of u6
              -> hand off [u3] and those of u1 u2
            client: u3 = zero, u1/u4 = one, u1/u5 = two, u2/u6/u7 = three
              -> u1/ask model 2
              -> u2/u6/ask model 2
            u2/u6/model: three
              -> u2/u6/finish "three"
              -> u2/u6 reports "three"
              -> u2/ask model 2
            u1/model: one and two
              -> u1/finish "one and two"
              -> u1 reports "one and two"
            u2/model: it says three
              -> u2/finish "it says three"
              -> u2 reports "it says three"
              -> ask model 2
            model: done
              -> finish "done"
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"content":"ask","recipient":"billing"}, u2 AgentCommunication__sendMessage{"content":"ask","recipient":"orders"}, u3 client__ask{"x":0}
              user: u1 = one and two, u2 = it says three, u3 = zero
              assistant: "done"
            thread billing
              user: "ask"
              assistant: u4 client__ask{"x":1}, u5 client__ask{"x":2}
              user: u4 = one, u5 = two
              assistant: "one and two"
            thread orders
              user: "ask"
              assistant: u6 AgentCommunication__sendMessage{"content":"ask","recipient":"stock"}
              user: u6 = three
              assistant: "it says three"
            thread orders>stock
              user: "ask"
              assistant: u7 client__ask{"x":3}
              user: u7 = three
              assistant: "three"
        "#]],
    );
}

#[test]
fn more_than_five_calls_of_collaborators_are_handed_off_one_member_after_the_other() {
    check(
        "user: go; model: tell billing ask, tell orders ask; \
         u1/model: use client__ask{x:1}, use client__ask{x:2}, use client__ask{x:3}; \
         u2/model: use client__ask{x:4}, use client__ask{x:5}, use client__ask{x:6}; \
         client: u1/u3 = 1, u1/u4 = 2, u1/u5 = 3; u1/model: 123; \
         client: u2/u6 = 4, u2/u7 = 5, u2/u8 = 6; u2/model: 456; model: done",
        &expect![[r#"
            user: go
              -> ask model 1
            model: tell billing ask, tell orders ask
              -> billing begins as run-1-1 on "ask"
              -> orders begins as run-1-2 on "ask"
              -> u1/ask model 1
              -> u2/ask model 1
            u1/model: use client__ask{x:1}, use client__ask{x:2}, use client__ask{x:3}
              -> u1/hand off u3 u4 u5
            u2/model: use client__ask{x:4}, use client__ask{x:5}, use client__ask{x:6}
              -> u2/hand off u6 u7 u8
              -> hand off [] and those of u1
            client: u1/u3 = 1, u1/u4 = 2, u1/u5 = 3
              -> u1/ask model 2
            u1/model: 123
              -> u1/finish "123"
              -> u1 reports "123"
              -> hand off [] and those of u2
            client: u2/u6 = 4, u2/u7 = 5, u2/u8 = 6
              -> u2/ask model 2
            u2/model: 456
              -> u2/finish "456"
              -> u2 reports "456"
              -> ask model 2
            model: done
              -> finish "done"
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"content":"ask","recipient":"billing"}, u2 AgentCommunication__sendMessage{"content":"ask","recipient":"orders"}
              user: u1 = 123, u2 = 456
              assistant: "done"
            thread billing
              user: "ask"
              assistant: u3 client__ask{"x":1}, u4 client__ask{"x":2}, u5 client__ask{"x":3}
              user: u3 = 1, u4 = 2, u5 = 3
              assistant: "123"
            thread orders
              user: "ask"
              assistant: u6 client__ask{"x":4}, u7 client__ask{"x":5}, u8 client__ask{"x":6}
              user: u6 = 4, u7 = 5, u8 = 6
              assistant: "456"
        "#]],
    );
}

#[track_caller]
fn check_routed(script: &str, before: Option<Turn>, expected: &Expect) -> Turn {
    let played = play(script, supervisor(Collaboration::SupervisorRouter), before);
    let turn = played.turn.clone();
    expected.assert_eq(&played.told());
    turn
}

#[test]
fn a_routed_collaborator_answers_the_user_and_goes_on_with_a_follow_up() {
    let first = check_routed(
        "user: refund 7; model: <a>billing</a>; route/model: which order?",
        None,
        &expect![[r#"
            user: refund 7
              -> ask model 1 whom to route to
            model: <a>billing</a>
              -> billing begins as run-1-0 on "refund 7"
              -> route/ask model 1
            route/model: which order?
              -> route/finish "which order?"
              -> route reports "which order?"
              -> finish "which order?"
            history
              user: "refund 7"
              assistant: "which order?"
            thread billing
              user: "refund 7"
              assistant: "which order?"
        "#]],
    );
    check_routed(
        "user: the last; model: <a>keep_previous_agent</a>; route/model: use client__ask{x:1}; \
         client: route/u1 = yes; route/model: refunded",
        Some(first),
        &expect![[r#"
            user: the last
              -> ask model 1 whom to route to
            model: <a>keep_previous_agent</a>
              -> billing begins as run-1-0 on "the last"
              -> route/ask model 1
            route/model: use client__ask{x:1}
              -> route/hand off u1
              -> hand off [] and those of route
            client: route/u1 = yes
              -> route/ask model 2
            route/model: refunded
              -> route/finish "refunded"
              -> route reports "refunded"
              -> finish "refunded"
            history
              1 earlier exchanges
              user: "the last"
              assistant: "refunded"
            thread billing
              user: "the last"
              assistant: u1 client__ask{"x":1}
              user: u1 = yes
              assistant: "refunded"
        "#]],
    );
}

#[test]
fn a_turn_that_nobody_takes_is_the_supervisors() {
    let undecided = "user: hm; model: <a>undecidable</a>; model: tell billing hm; \
                     u1/model: done; model: fine";
    check_routed(
        undecided,
        None,
        &expect![[r#"
        user: hm
          -> ask model 1 whom to route to
        model: <a>undecidable</a>
          -> ask model 2
        model: tell billing hm
          -> billing begins as run-2-1 on "hm"
          -> u1/ask model 1
        u1/model: done
          -> u1/finish "done"
          -> u1 reports "done"
          -> ask model 3
        model: fine
          -> finish "fine"
        history
          user: "hm"
          assistant: u1 AgentCommunication__sendMessage{"content":"hm","recipient":"billing"}
          user: u1 = done
          assistant: "fine"
        thread billing
          user: "hm"
          assistant: "done"
    "#]],
    );
    let classifier = "user: hm; model fails: overloaded; model: fine";
    check_routed(
        classifier,
        None,
        &expect![[r#"
        user: hm
          -> ask model 1 whom to route to
        model fails: overloaded
          -> ask model 2
        model: fine
          -> finish "fine"
        history
          user: "hm"
          assistant: "fine"
    "#]],
    );
    let failed = "user: hm; model: billing; route/model fails: overloaded; model: fine";
    check_routed(
        failed,
        None,
        &expect![[r#"
        user: hm
          -> ask model 1 whom to route to
        model: billing
          -> billing begins as run-1-0 on "hm"
          -> route/ask model 1
        route/model fails: overloaded
          -> route reports Error { message: "collaborator_failed: billing: overloaded; do what you can without it, or tell the user" }
          -> ask model 2
        model: fine
          -> finish "fine"
        history
          user: "hm"
          assistant: "fine"
        thread billing
          user: "hm"
    "#]],
    );
}

#[test]
fn half_an_answer_of_a_routed_collaborator_ends_the_turn() {
    let broken = "user: hm; model: billing; route/model breaks: overloaded";
    check_routed(
        broken,
        None,
        &expect![[r#"
        user: hm
          -> ask model 1 whom to route to
        model: billing
          -> billing begins as run-1-0 on "hm"
          -> route/ask model 1
        route/model breaks: overloaded
          -> fail
        history
          user: "hm"
        thread billing
          user: "hm"
        failed ThrottlingException: overloaded
    "#]],
    );
}

#[test]
fn a_routers_router_says_whether_its_answer_was_read_already() {
    let routed = |last: Agent, script| {
        let router = |name, member| {
            let members = vec![(name, false, Arc::new(member))];
            team(Collaboration::SupervisorRouter, members)
        };
        play(script, router("middle", router("last", last)), None).turn
    };
    let plain = "user streams: hm; model: middle; route/model: last; route/route/model: done";
    assert_eq!(routed(alone("L"), plain).team.aloud, Some(true));
    let last = Agent::new(staged("post")).expect("it compiles");
    let held = routed(last, &format!("{plain}; route/route/model: It is done."));
    assert_eq!(held.end, Some(End::Answered("It is done.".to_owned())));
    assert_eq!(held.team.aloud, Some(false), "post-processing held it back");
}

#[test]
fn a_routed_collaborator_gets_the_users_files_and_another_does_not() {
    let events = |script, collaboration| {
        let mut events = play(script, supervisor(collaboration), None).events;
        if let Some(Event::Accepted(accepted)) = events.first_mut() {
            accepted.files = vec![Block::Image(serde_json::json!({"format": "png"}))];
            accepted.recall = Recall { exchanges: Some(1), without_thoughts: true };
        }
        events
    };
    let read = |events: &[Event], id: &str| {
        let turn = Turn::replay(events);
        let accepted = turn.team.members[id].turn.accepted.clone().expect("it was accepted");
        (turn.team.members[id].turn.messages[0].content.len(), accepted.recall.exchanges)
    };
    let routed = events("user: see; model: billing", Collaboration::SupervisorRouter);
    assert_eq!(read(&routed, "route"), (2, Some(1)));
    let told = events("user: see; model: tell billing see", Collaboration::Supervisor);
    assert_eq!(read(&told, "u1"), (1, None));
}

#[test]
fn a_tool_use_is_never_taken_for_a_routed_turn() {
    check(
        "user: go; model: use g__read#route{x:1}; tool route_0: ok; model: done",
        &expect![[r#"
        user: go
          -> ask model 1
        model: use g__read#route{x:1}
          -> call route_0 g__read{"x":1}
        tool route_0: ok
          -> ask model 2
        model: done
          -> finish "done"
        history
          user: "go"
          assistant: route_0 g__read{"x":1}
          user: route_0 = ok
          assistant: "done"
    "#]],
    );
}

#[test]
fn what_a_collaborator_reads_of_others_is_left_out_first() {
    let script = "user: I am Ada; model: hello Ada";
    let first = play(script, supervisor(Collaboration::Supervisor), None).turn;
    let script = "user: both; model: tell orders two; u1/model overflows: too long; \
                  u1/model: short; model: done";
    let played = play(script, supervisor(Collaboration::Supervisor), Some(first));
    expect![[r#"
        user: both
          -> ask model 1
        model: tell orders two
          -> orders begins as run-1-1 on "two"
          -> u1/ask model 1
        u1/model overflows: too long
          -> u1/leave out 1 exchanges
          -> u1/ask model 2
        u1/model: short
          -> u1/finish "short"
          -> u1 reports "short"
          -> ask model 2
        model: done
          -> finish "done"
        history
          1 earlier exchanges
          user: "both"
          assistant: u1 AgentCommunication__sendMessage{"content":"two","recipient":"orders"}
          user: u1 = short
          assistant: "done"
        thread orders
          user: "two"
          assistant: "short"
    "#]]
    .assert_eq(&played.told());
}

#[test]
fn a_collaborator_reads_its_supervisors_conversation_only_where_it_is_relayed() {
    let script = "user: I am Ada; model: hello Ada";
    let first = play(script, supervisor(Collaboration::Supervisor), None).turn;
    let script = "user: both; model: let me see, tell billing one, tell orders two";
    let played = play(script, supervisor(Collaboration::Supervisor), Some(first));
    let read = |id: &str, name: &str| {
        let agent = supervisor(Collaboration::Supervisor).members[name].clone();
        let turn = played.turn.at(&[id.to_owned()]).expect("a member");
        let call = call::model_call(turn, &agent, Purpose::Plan);
        call.messages.iter().map(|m| serde_json::to_string(m).expect("plain data")).collect()
    };
    let told: [Vec<String>; 2] = [read("u1", "billing"), read("u2", "orders")];
    expect![[r#"
        [
            [
                "{\"role\":\"user\",\"content\":[{\"text\":\"one\"}]}",
            ],
            [
                "{\"role\":\"user\",\"content\":[{\"text\":\"I am Ada\"}]}",
                "{\"role\":\"assistant\",\"content\":[{\"text\":\"hello Ada\"}]}",
                "{\"role\":\"user\",\"content\":[{\"text\":\"both\"},{\"text\":\"two\"}]}",
            ],
        ]
    "#]]
    .assert_debug_eq(&told);
}

#[test]
fn what_a_client_could_not_tell_apart_is_handed_to_it_one_after_the_other() {
    let [one, two] = [(); 2].map(|()| Arc::new(alone("INLINE_AGENT")));
    let boss = team(Collaboration::Supervisor, vec![("one", false, one), ("two", false, two)]);
    let script = "user: go; model: tell one ask, tell two ask; u1/model: use client__ask{x:1}; \
                  u2/model: use client__ask{x:2}; client: u1/u3 = first; u1/model: ok one; \
                  client: u2/u4 = second; u2/model: ok two; model: done";
    expect![[r#"
        user: go
          -> ask model 1
        model: tell one ask, tell two ask
          -> one begins as run-1-1 on "ask"
          -> two begins as run-1-2 on "ask"
          -> u1/ask model 1
          -> u2/ask model 1
        u1/model: use client__ask{x:1}
          -> u1/hand off u3
        u2/model: use client__ask{x:2}
          -> u2/hand off u4
          -> hand off [] and those of u1
        client: u1/u3 = first
          -> u1/ask model 2
        u1/model: ok one
          -> u1/finish "ok one"
          -> u1 reports "ok one"
          -> hand off [] and those of u2
        client: u2/u4 = second
          -> u2/ask model 2
        u2/model: ok two
          -> u2/finish "ok two"
          -> u2 reports "ok two"
          -> ask model 2
        model: done
          -> finish "done"
        history
          user: "go"
          assistant: u1 AgentCommunication__sendMessage{"content":"ask","recipient":"one"}, u2 AgentCommunication__sendMessage{"content":"ask","recipient":"two"}
          user: u1 = ok one, u2 = ok two
          assistant: "done"
        thread one
          user: "ask"
          assistant: u3 client__ask{"x":1}
          user: u3 = first
          assistant: "ok one"
        thread two
          user: "ask"
          assistant: u4 client__ask{"x":2}
          user: u4 = second
          assistant: "ok two"
    "#]].assert_eq(&play(script, boss, None).told());
}
