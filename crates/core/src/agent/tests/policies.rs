//! What policies decide of calls: who is asked first, what is refused, when a turn stops.

use expect_test::expect;

use super::script::{check, check_of, config};
use crate::agent::config::{ParameterKind, Schema};

#[test]
fn a_call_above_a_threshold_goes_to_a_person_and_is_made_once_they_agree() {
    check(
        "policy: {\"hand_off\": [\"x > 500\"]}; user: go; model: use g__once{x:500}, use g__once{x:501}; tool u1: one; client: u2 agrees = ; tool u2: two; model: ok",
        &expect![[r#"
            policy: {"hand_off": ["x > 500"]}
            user: go
              -> ask model 1
            model: use g__once{x:500}, use g__once{x:501}
              -> call u1 g__once{"x":500}
            tool u1: one
              -> hand off u2 (u2: x > 500)
            client: u2 agrees = 
              -> call u2 g__once{"x":501}
            tool u2: two
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":500}, u2 g__once{"x":501}
              user: u1 = one, u2 = two
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_person_who_does_not_agree_is_heard() {
    check(
        "policy: {\"hand_off\": [\"x > 500\"]}; user: go; model: use g__read{x:501}; client: u1 denies = too much; model: ok",
        &expect![[r#"
            policy: {"hand_off": ["x > 500"]}
            user: go
              -> ask model 1
            model: use g__read{x:501}
              -> hand off u1 (u1: x > 500)
            client: u1 denies = too much
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__read{"x":501}
              user: u1 ! call_denied
              assistant: "ok"
        "#]],
    );
}

#[test]
fn arguments_that_are_not_permitted_go_back_to_the_model() {
    check(
        "policy: {\"arguments\": {\"deny\": [\"x\"]}}; user: go; model: use g__once{x:1}, use client__ask{x:1}; client: u2 = done; model: ok",
        &expect![[r#"
            policy: {"arguments": {"deny": ["x"]}}
            user: go
              -> ask model 1
            model: use g__once{x:1}, use client__ask{x:1}
              -> refuse u1 NotPermitted: You don't have permission to modify x
              -> hand off u2
            client: u2 = done
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 client__ask{"x":1}
              user: u1 ! You don't have permission to modify x, u2 = done
              assistant: "ok"
        "#]],
    );
}

#[test]
fn the_sixth_call_that_brings_nothing_new_ends_the_turn() {
    check(
        "policy: {\"breaker\": {\"loop_calls\": 2}}; user: go; model: use g__read{x:1}; tool u1: same; model: use g__read{x:1}; tool u2: same; model: use g__read{x:1}, use g__keyed{x:1}; tool u4: other",
        &expect![[r#"
            policy: {"breaker": {"loop_calls": 2}}
            user: go
              -> ask model 1
            model: use g__read{x:1}
              -> call u1 g__read{"x":1}
            tool u1: same
              -> ask model 2
            model: use g__read{x:1}
              -> call u2 g__read{"x":1}
            tool u2: same
              -> ask model 3
            model: use g__read{x:1}, use g__keyed{x:1}
              -> refuse u3 ToolLoop: tool_loop: g__read was called 2 times in a row with the same arguments, or nearly, and its result did not change; it was not called again
              -> call u4 g__keyed{"x":1}
            tool u4: other
              -> give up ToolLoop
            history
              user: "go"
              assistant: u1 g__read{"x":1}
              user: u1 = same
              assistant: u2 g__read{"x":1}
              user: u2 = same
              assistant: u3 g__read{"x":1}, u4 g__keyed{"x":1}
              user: u3 ! tool_loop, u4 = other
              assistant: "I kept asking for the same thing and learnt nothing new, so I stopped. Please rephrase the request or try again later."
        "#]],
    );
}

#[test]
fn results_that_change_are_no_loop() {
    check(
        "policy: {\"breaker\": {\"loop_calls\": 2}}; user: go; model: use g__read{x:1}; tool u1: one; model: use g__read{x:1}; tool u2: two; model: use g__read{x:1}; tool u3: three; model: ok",
        &expect![[r#"
            policy: {"breaker": {"loop_calls": 2}}
            user: go
              -> ask model 1
            model: use g__read{x:1}
              -> call u1 g__read{"x":1}
            tool u1: one
              -> ask model 2
            model: use g__read{x:1}
              -> call u2 g__read{"x":1}
            tool u2: two
              -> ask model 3
            model: use g__read{x:1}
              -> call u3 g__read{"x":1}
            tool u3: three
              -> ask model 4
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__read{"x":1}
              user: u1 = one
              assistant: u2 g__read{"x":1}
              user: u2 = two
              assistant: u3 g__read{"x":1}
              user: u3 = three
              assistant: "ok"
        "#]],
    );
}

#[test]
fn equal_calls_of_one_reply_count_as_well() {
    check(
        "policy: {\"breaker\": {\"loop_calls\": 2}}; user: go; model: use g__once{x:1}, use g__once{x:1}, use g__once{x:1}; tool u1: a; tool u2: b",
        &expect![[r#"
            policy: {"breaker": {"loop_calls": 2}}
            user: go
              -> ask model 1
            model: use g__once{x:1}, use g__once{x:1}, use g__once{x:1}
              -> call u1 g__once{"x":1}
              -> call u2 g__once{"x":1}
              -> refuse u3 ToolLoop: tool_loop: g__once was called 2 times in a row with the same arguments, or nearly, and its result did not change; it was not called again
            tool u1: a
            tool u2: b
              -> give up ToolLoop
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 g__once{"x":1}, u3 g__once{"x":1}
              user: u1 = a, u2 = b, u3 ! tool_loop
              assistant: "I kept asking for the same thing and learnt nothing new, so I stopped. Please rephrase the request or try again later."
        "#]],
    );
}

#[test]
fn calls_of_one_reply_that_are_only_near_each_other_are_all_made() {
    let mut config = config();
    for group in &mut config.groups {
        let Schema::Functions(functions) = &mut group.schema else { continue };
        for function in functions {
            let x = function.parameters.get_mut("x").expect("all have it");
            x.kind = ParameterKind::Number;
        }
    }
    check_of(
        config,
        "policy: {\"breaker\": {\"loop_calls\": 2}}; user: go; model: use g__read{x:59.91}, use g__read{x:59.92}, use g__read{x:59.93}; tool u1: a; tool u2: b; tool u3: c; model: ok",
        &expect![[r#"
            policy: {"breaker": {"loop_calls": 2}}
            user: go
              -> ask model 1
            model: use g__read{x:59.91}, use g__read{x:59.92}, use g__read{x:59.93}
              -> call u1 g__read{"x":59.91}
              -> call u2 g__read{"x":59.92}
              -> call u3 g__read{"x":59.93}
            tool u1: a
            tool u2: b
            tool u3: c
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__read{"x":59.91}, u2 g__read{"x":59.92}, u3 g__read{"x":59.93}
              user: u1 = a, u2 = b, u3 = c
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_client_s_calls_go_round_as_well() {
    check(
        "policy: {\"breaker\": {\"loop_calls\": 1}}; user: go; model: use client__ask{x:1}; client: u1 = same; model: use client__ask{x:1}",
        &expect![[r#"
            policy: {"breaker": {"loop_calls": 1}}
            user: go
              -> ask model 1
            model: use client__ask{x:1}
              -> hand off u1
            client: u1 = same
              -> ask model 2
            model: use client__ask{x:1}
              -> refuse u2 ToolLoop: tool_loop: client__ask was called 1 times in a row with the same arguments, or nearly, and its result did not change; it was not called again
              -> give up ToolLoop
            history
              user: "go"
              assistant: u1 client__ask{"x":1}
              user: u1 = same
              assistant: u2 client__ask{"x":1}
              user: u2 ! tool_loop
              assistant: "I kept asking for the same thing and learnt nothing new, so I stopped. Please rephrase the request or try again later."
        "#]],
    );
}
