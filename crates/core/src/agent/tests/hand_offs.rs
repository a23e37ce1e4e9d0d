//! What a turn decides of calls that need somebody outside: the client, its user, a tool that takes
//! its time.

use expect_test::{Expect, expect};

use super::script::{check_history, check_of, config, play};
use crate::agent::config::{AgentConfig, Schema};
use crate::agent::event::{Ask, Event, Intent, Purpose};
use crate::agent::state;
use crate::agent::turn::Agent;

/// `g__once` and `client__ask` need the user's word, and the agent may ask its user.
pub(super) fn careful() -> AgentConfig {
    let mut config = AgentConfig { user_input: true, ..config() };
    for group in &mut config.groups {
        let Schema::Functions(functions) = &mut group.schema else { continue };
        for function in functions.iter_mut().filter(|f| f.name == "once" || f.name == "ask") {
            function.confirm = true;
        }
    }
    config
}

#[track_caller]
fn check(script: &str, expected: &Expect) {
    check_of(careful(), script, expected);
}

#[test]
fn what_needs_no_word_runs_first_and_what_the_user_agrees_to_runs_then() {
    check(
        "user: go; model: use g__once{x:1}, use g__read{x:2}; tool u2: two; client: u1 agrees = ; tool u1: one; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}, use g__read{x:2}
              -> call u2 g__read{"x":2}
            tool u2: two
              -> hand off u1
            client: u1 agrees = 
              -> call u1 g__once{"x":1}
            tool u1: one
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 g__read{"x":2}
              user: u1 = one, u2 = two
              assistant: "ok"
        "#]],
    );
}

#[test]
fn what_the_user_denies_is_not_called_and_the_model_reads_that() {
    check(
        "user: go; model: use g__once{x:1}, use g__once{x:2}, use client__ask{x:3}; client: u1 denies = , u2 agrees = , u3 denies = not today; tool u2: two; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}, use g__once{x:2}, use client__ask{x:3}
              -> hand off u1 u2 u3
            client: u1 denies = , u2 agrees = , u3 denies = not today
              -> call u2 g__once{"x":2}
            tool u2: two
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 g__once{"x":2}, u3 client__ask{"x":3}
              user: u1 ! call_denied, u2 = two, u3 ! call_denied
              assistant: "ok"
        "#]],
    );
}

#[test]
fn the_client_agrees_and_performs_in_one_step() {
    check(
        "user: go; model: use client__ask{x:1}; client: u1 = done; model: ok",
        &expect![[r#"
        user: go
          -> ask model 1
        model: use client__ask{x:1}
          -> hand off u1
        client: u1 = done
          -> ask model 2
        model: ok
          -> finish "ok"
        history
          user: "go"
          assistant: u1 client__ask{"x":1}
          user: u1 = done
          assistant: "ok"
    "#]],
    );
}

#[test]
fn nobody_is_asked_to_agree_to_what_could_not_be_called() {
    check(
        "user: go; model: use g__once{x:one}, use g__once{x:1}; client: u2 agrees = ; tool u2 lost: gone; model: use g__once{x:1}; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:one}, use g__once{x:1}
              -> refuse u1 InvalidArguments: invalid_arguments: x: expected integer, got string "one"; the tool was not called, correct the arguments and try again
              -> hand off u2
            client: u2 agrees = 
              -> call u2 g__once{"x":1}
            tool u2 lost: gone
              -> ask model 2
            model: use g__once{x:1}
              -> refuse u3 UnknownOutcome: unknown_outcome: an identical call of g__once was sent before and its outcome is unknown; it is not repeated, tell the user that it has to be looked at by a person
              -> ask model 3
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":"one"}, u2 g__once{"x":1}
              user: u1 ! invalid_arguments, u2 ! gone
              assistant: u3 g__once{"x":1}
              user: u3 ! unknown_outcome
              assistant: "ok"
            unknown g__once{"x":1}
        "#]],
    );
}

#[test]
fn a_result_that_fails_the_turn_leaves_the_call_beside_it_unmade() {
    check(
        "user: go; model: use g__once{x:1}, use client__ask{x:2}; client: u1 agrees = , u2 fails = no",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}, use client__ask{x:2}
              -> hand off u1 u2
            client: u1 agrees = , u2 fails = no
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 client__ask{"x":2}
              user: u1 ! failed, u2 ! no
            failed DependencyFailedException: no
        "#]],
    );
}

#[test]
fn a_confirmation_that_is_called_off_calls_nothing() {
    check(
        "user: go; model: use g__once{x:1}; cancel: new input came",
        &expect![[r#"
        user: go
          -> ask model 1
        model: use g__once{x:1}
          -> hand off u1
        cancel: new input came
        history
          user: "go"
          assistant: u1 g__once{"x":1}
          user: u1 ! cancelled
    "#]],
    );
}

#[test]
fn a_question_ends_the_turn_after_all_else_is_done() {
    check(
        "user: go; model: use user__askuser{question: Which order}, use g__read{x:1}, use client__ask{x:2}; tool u2: one; client: u3 = two",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use user__askuser{question: Which order}, use g__read{x:1}, use client__ask{x:2}
              -> call u2 g__read{"x":1}
            tool u2: one
              -> hand off u3
            client: u3 = two
              -> ask user "Which order"
            history
              user: "go"
              assistant: u1 user__askuser{"question":"Which order"}, u2 g__read{"x":1}, u3 client__ask{"x":2}
              user: u1 = the question is put to the user, whose answer comes next, u2 = one, u3 = two
              assistant: "Which order"
        "#]],
    );
}

#[test]
fn a_question_without_words_goes_back_to_the_model() {
    check(
        "user: go; model: use user__askuser{question: }; model: use user__askuser{question: Which one}",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use user__askuser{question: }
              -> refuse u1 InvalidArguments: invalid_arguments: question: expected a text; nobody was asked, correct the arguments and try again
              -> ask model 2
            model: use user__askuser{question: Which one}
              -> ask user "Which one"
            history
              user: "go"
              assistant: u1 user__askuser{"question":null}
              user: u1 ! invalid_arguments
              assistant: u2 user__askuser{"question":"Which one"}
              user: u2 = the question is put to the user, whose answer comes next
              assistant: "Which one"
        "#]],
    );
}

#[test]
fn an_agent_without_user_input_has_no_such_tool() {
    check_of(
        config(),
        "user: go; model: use user__askuser{question: Which one}; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use user__askuser{question: Which one}
              -> refuse u1 UnknownTool: unknown_tool: there is no tool user__askuser; the tools are g__read, g__keyed, g__once, client__ask
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 user__askuser{"question":"Which one"}
              user: u1 ! unknown_tool
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_result_that_comes_later_is_waited_for() {
    check_of(
        config(),
        "user: go; model: use g__once{x:1}, use g__read{x:2}; defer u1: job-1; tool u2: two; tool u1: one; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}, use g__read{x:2}
              -> call u1 g__once{"x":1}
              -> call u2 g__read{"x":2}
            defer u1: job-1
            tool u2: two
            tool u1: one
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 g__read{"x":2}
              user: u1 = one, u2 = two
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_pending_call_that_is_called_off_is_unknown_if_it_may_have_changed_something() {
    check_of(
        config(),
        "user: go; model: use g__once{x:1}, use g__read{x:2}; defer u1: a; defer u2: b; cancel: new input came",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}, use g__read{x:2}
              -> call u1 g__once{"x":1}
              -> call u2 g__read{"x":2}
            defer u1: a
            defer u2: b
            cancel: new input came
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 g__read{"x":2}
              user: u1 ! unknown_outcome, u2 ! cancelled
            unknown g__once{"x":1}
        "#]],
    );
}

/// An agent that works alone, with a tool of the client's under the name of the supervisors' own.
fn namesake() -> AgentConfig {
    let mut config = config();
    let group = config.groups.iter_mut().find(|group| group.name == "client").expect("there");
    group.name = "AgentCommunication".to_owned();
    let Schema::Functions(functions) = &mut group.schema else { panic!("it has functions") };
    functions[0].name = "sendMessage".to_owned();
    config
}

#[test]
fn a_tool_of_ones_own_with_the_name_of_the_supervisors_is_the_clients() {
    check_of(
        namesake(),
        "user: go; model: use AgentCommunication__sendMessage{x:1}; client: u1 = sent; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use AgentCommunication__sendMessage{x:1}
              -> hand off u1
            client: u1 = sent
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 AgentCommunication__sendMessage{"x":1}
              user: u1 = sent
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_tool_use_that_nothing_came_of_is_closed_before_a_model_is_asked() {
    let agent = Agent::new(config()).expect("it compiles");
    let mut turn =
        play("user: go; model: use g__once{x:1}, use client__ask{x:2}", agent, None).turn;
    let (purpose, step) = (Purpose::Plan, turn.steps + 1);
    state::apply(&mut turn, &Event::Asked(Intent::AskModel(Ask::new(purpose, step))));
    check_history(&turn.messages);
    let told = format!("{:?}", turn.messages.last());
    assert!(told.contains("not_performed") && told.contains("unknown_outcome"), "{told}");
    assert_eq!((turn.unknown.len(), turn.asking), (1, Some(Purpose::Plan)));
}
