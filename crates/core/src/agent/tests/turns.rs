//! What a turn decides, told as a script and its outcome.

use expect_test::expect;
use wire::converse::Block;

use super::script::{begin, check};
use crate::agent::event::{Event, ModelFailed};
use crate::agent::history::Past;
use crate::agent::state::Turn;

#[test]
fn two_tool_calls_run_before_the_model_speaks_again() {
    check(
        "user: refund 7; model: use g__once{x:1}, use g__read{x:2}; tool u2: two; tool u1: one; model: ok",
        &expect![[r#"
            user: refund 7
              -> ask model 1
            model: use g__once{x:1}, use g__read{x:2}
              -> call u1 g__once{"x":1}
              -> call u2 g__read{"x":2}
            tool u2: two
            tool u1: one
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "refund 7"
              assistant: u1 g__once{"x":1}, u2 g__read{"x":2}
              user: u1 = one, u2 = two
              assistant: "ok"
        "#]],
    );
}

#[test]
fn an_invented_tool_goes_back_to_the_model_beside_a_real_one() {
    check(
        "user: go; model: use g__none{}, use g__once{x:1}; tool u2: done; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__none{}, use g__once{x:1}
              -> refuse u1 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> call u2 g__once{"x":1}
            tool u2: done
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__none{}, u2 g__once{"x":1}
              user: u1 ! unknown_tool, u2 = done
              assistant: "ok"
        "#]],
    );
}

#[test]
fn invalid_arguments_are_not_executed_and_may_be_repaired() {
    check(
        "user: open port eighty; model: use g__once{x:eighty}; model: use g__once{x:80}; tool u2: open; model: <answer>open</answer>",
        &expect![[r#"
            user: open port eighty
              -> ask model 1
            model: use g__once{x:eighty}
              -> refuse u1 InvalidArguments: invalid_arguments: x: expected integer, got string "eighty"; the tool was not called, correct the arguments and try again
              -> ask model 2
            model: use g__once{x:80}
              -> call u2 g__once{"x":80}
            tool u2: open
              -> ask model 3
            model: <answer>open</answer>
              -> finish "open"
            history
              user: "open port eighty"
              assistant: u1 g__once{"x":"eighty"}
              user: u1 ! invalid_arguments
              assistant: u2 g__once{"x":80}
              user: u2 = open
              assistant: "<answer>open</answer>"
        "#]],
    );
}

#[test]
fn a_tool_may_ask_for_other_arguments() {
    check(
        "user: go; model: use g__once{x:1}; tool u1 reprompt: try 2; model: use g__once{x:2}; tool u2: done; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}
              -> call u1 g__once{"x":1}
            tool u1 reprompt: try 2
              -> ask model 2
            model: use g__once{x:2}
              -> call u2 g__once{"x":2}
            tool u2: done
              -> ask model 3
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":1}
              user: u1 ! try 2
              assistant: u2 g__once{"x":2}
              user: u2 = done
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_model_that_repairs_nothing_is_stopped() {
    check(
        "user: go; model: use g__none{}; model: use g__none{}; model: use g__none{}",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__none{}
              -> refuse u1 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> ask model 2
            model: use g__none{}
              -> refuse u2 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> ask model 3
            model: use g__none{}
              -> refuse u3 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> give up TooManyRepairs
            history
              user: "go"
              assistant: u1 g__none{}
              user: u1 ! unknown_tool
              assistant: u2 g__none{}
              user: u2 ! unknown_tool
              assistant: u3 g__none{}
              user: u3 ! unknown_tool
              assistant: "I could not work out a valid way to do this with my tools. Please rephrase the request."
        "#]],
    );
}

#[test]
fn a_good_call_begins_the_count_of_repairs_again() {
    check(
        "user: go; model: use g__none{}; model: use g__none{}; model: use g__none{}, use g__read{x:1}; tool u4: one; model: use g__none{}",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__none{}
              -> refuse u1 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> ask model 2
            model: use g__none{}
              -> refuse u2 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> ask model 3
            model: use g__none{}, use g__read{x:1}
              -> refuse u3 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> call u4 g__read{"x":1}
            tool u4: one
              -> ask model 4
            model: use g__none{}
              -> refuse u5 UnknownTool: unknown_tool: there is no tool g__none; the tools are g__read, g__keyed, g__once, client__ask
              -> ask model 5
            history
              user: "go"
              assistant: u1 g__none{}
              user: u1 ! unknown_tool
              assistant: u2 g__none{}
              user: u2 ! unknown_tool
              assistant: u3 g__none{}, u4 g__read{"x":1}
              user: u3 ! unknown_tool, u4 = one
              assistant: u5 g__none{}
              user: u5 ! unknown_tool
        "#]],
    );
}

#[test]
fn the_model_is_never_asked_once_more_than_allowed() {
    check(
        "user: go; model: use g__read{x:1}; tool u1: a; model: use g__read{x:2}; tool u2: b; model: use g__read{x:3}; tool u3: c; model: use g__read{x:4}; tool u4: d; model: use g__read{x:5}; tool u5: e",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__read{x:1}
              -> call u1 g__read{"x":1}
            tool u1: a
              -> ask model 2
            model: use g__read{x:2}
              -> call u2 g__read{"x":2}
            tool u2: b
              -> ask model 3
            model: use g__read{x:3}
              -> call u3 g__read{"x":3}
            tool u3: c
              -> ask model 4
            model: use g__read{x:4}
              -> call u4 g__read{"x":4}
            tool u4: d
              -> ask model 5
            model: use g__read{x:5}
              -> call u5 g__read{"x":5}
            tool u5: e
              -> give up TooManySteps
            history
              user: "go"
              assistant: u1 g__read{"x":1}
              user: u1 = a
              assistant: u2 g__read{"x":2}
              user: u2 = b
              assistant: u3 g__read{"x":3}
              user: u3 = c
              assistant: u4 g__read{"x":4}
              user: u4 = d
              assistant: u5 g__read{"x":5}
              user: u5 = e
              assistant: "I could not finish this within the number of steps I am allowed. Please narrow the request or try again."
        "#]],
    );
}

#[test]
fn more_tool_uses_than_allowed_go_back() {
    check(
        "user: go; model: use g__read{x:1}, use g__read{x:2}, use g__read{x:3}, use g__read{x:4}; tool u1: a; tool u2: b; tool u3: c; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__read{x:1}, use g__read{x:2}, use g__read{x:3}, use g__read{x:4}
              -> call u1 g__read{"x":1}
              -> call u2 g__read{"x":2}
              -> call u3 g__read{"x":3}
              -> refuse u4 TooManyToolUses: too_many_tool_uses: one reply may use 3 tools; ask for this one again in the next
            tool u1: a
            tool u2: b
            tool u3: c
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__read{"x":1}, u2 g__read{"x":2}, u3 g__read{"x":3}, u4 g__read{"x":4}
              user: u1 = a, u2 = b, u3 = c, u4 ! too_many_tool_uses
              assistant: "ok"
        "#]],
    );
}

#[test]
fn functions_here_run_first_then_the_client_gets_its_calls() {
    check(
        "user: go; model: use client__ask{x:1}, use g__once{x:2}, use client__ask{x:3}; tool u2: two; client: u1 = one, u3 = three; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use client__ask{x:1}, use g__once{x:2}, use client__ask{x:3}
              -> call u2 g__once{"x":2}
            tool u2: two
              -> hand off u1 u3
            client: u1 = one, u3 = three
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 client__ask{"x":1}, u2 g__once{"x":2}, u3 client__ask{"x":3}
              user: u1 = one, u2 = two, u3 = three
              assistant: "ok"
        "#]],
    );
}

#[test]
fn more_than_five_hand_offs_go_back_to_the_model() {
    check(
        "user: go; model: use client__ask{x:1}, use client__ask{x:2}, use client__ask{x:3}, use client__ask{x:4}, use client__ask{x:5}, use client__ask{x:6}; client: u1 = a, u2 = b, u3 = c, u4 = d, u5 = e; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use client__ask{x:1}, use client__ask{x:2}, use client__ask{x:3}, use client__ask{x:4}, use client__ask{x:5}, use client__ask{x:6}
              -> refuse u6 TooManyHandOffs: too_many_hand_offs: at most 5 calls are handed to the client at once; ask for this one again in the next reply
              -> hand off u1 u2 u3 u4 u5
            client: u1 = a, u2 = b, u3 = c, u4 = d, u5 = e
              -> ask model 2
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 client__ask{"x":1}, u2 client__ask{"x":2}, u3 client__ask{"x":3}, u4 client__ask{"x":4}, u5 client__ask{"x":5}, u6 client__ask{"x":6}
              user: u1 = a, u2 = b, u3 = c, u4 = d, u5 = e, u6 ! too_many_hand_offs
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_hand_off_with_invalid_arguments_is_repaired_before_the_client_hears_of_it() {
    check(
        "user: go; model: use client__ask{}; model: use client__ask{x:1}; client: u2 = one; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use client__ask{}
              -> refuse u1 InvalidArguments: invalid_arguments: x: required, missing; the tool was not called, correct the arguments and try again
              -> ask model 2
            model: use client__ask{x:1}
              -> hand off u2
            client: u2 = one
              -> ask model 3
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 client__ask{}
              user: u1 ! invalid_arguments
              assistant: u2 client__ask{"x":1}
              user: u2 = one
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_result_that_failed_ends_the_turn_and_the_others_stay() {
    check(
        "user: go; model: use client__ask{x:1}, use client__ask{x:2}; client: u1 fails = no, u2 = two",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use client__ask{x:1}, use client__ask{x:2}
              -> hand off u1 u2
            client: u1 fails = no, u2 = two
            history
              user: "go"
              assistant: u1 client__ask{"x":1}, u2 client__ask{"x":2}
              user: u1 ! no, u2 = two
            failed DependencyFailedException: no
        "#]],
    );
}

#[test]
fn a_result_that_asks_for_other_arguments_goes_to_the_model() {
    check(
        "user: go; model: use client__ask{x:1}; client: u1 again = use 2; model: use client__ask{x:2}; client: u2 = done; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use client__ask{x:1}
              -> hand off u1
            client: u1 again = use 2
              -> ask model 2
            model: use client__ask{x:2}
              -> hand off u2
            client: u2 = done
              -> ask model 3
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 client__ask{"x":1}
              user: u1 ! use 2
              assistant: u2 client__ask{"x":2}
              user: u2 = done
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_tool_that_declares_failure_ends_the_turn_and_calls_under_way_are_unknown() {
    check(
        "user: go; model: use g__once{x:1}, use g__once{x:2}, use g__read{x:3}, use client__ask{x:4}; tool u1 fails: broken",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}, use g__once{x:2}, use g__read{x:3}, use client__ask{x:4}
              -> call u1 g__once{"x":1}
              -> call u2 g__once{"x":2}
              -> call u3 g__read{"x":3}
            tool u1 fails: broken
            history
              user: "go"
              assistant: u1 g__once{"x":1}, u2 g__once{"x":2}, u3 g__read{"x":3}, u4 client__ask{"x":4}
              user: u1 ! broken, u2 ! unknown_outcome, u3 ! failed, u4 ! failed
            unknown g__once{"x":2}
            failed DependencyFailedException: broken
        "#]],
    );
}

#[test]
fn an_unknown_outcome_is_never_repeated_but_another_call_may_be_made() {
    check(
        "user: go; model: use g__once{x:1}; tool u1 lost: no reply; model: use g__once{x:1}, use g__once{x:2}; tool u3: done; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__once{x:1}
              -> call u1 g__once{"x":1}
            tool u1 lost: no reply
              -> ask model 2
            model: use g__once{x:1}, use g__once{x:2}
              -> refuse u2 UnknownOutcome: unknown_outcome: an identical call of g__once was sent before and its outcome is unknown; it is not repeated, tell the user that it has to be looked at by a person
              -> call u3 g__once{"x":2}
            tool u3: done
              -> ask model 3
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: u1 g__once{"x":1}
              user: u1 ! no reply
              assistant: u2 g__once{"x":1}, u3 g__once{"x":2}
              user: u2 ! unknown_outcome, u3 = done
              assistant: "ok"
            unknown g__once{"x":1}
        "#]],
    );
}

#[test]
fn a_hand_off_that_is_called_off_leaves_a_valid_history() {
    check(
        "user: go; model: use client__ask{x:1}, use g__once{x:2}; tool u2: two; cancel: new input",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use client__ask{x:1}, use g__once{x:2}
              -> call u2 g__once{"x":2}
            tool u2: two
              -> hand off u1
            cancel: new input
            history
              user: "go"
              assistant: u1 client__ask{"x":1}, u2 g__once{"x":2}
              user: u1 ! cancelled, u2 = two
        "#]],
    );
}

#[test]
fn a_turn_that_is_called_off_during_a_call_leaves_its_outcome_unknown() {
    check(
        "user: go; model: use g__keyed{x:1}, use g__read{x:2}; cancel: by an operator",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__keyed{x:1}, use g__read{x:2}
              -> call u1 g__keyed{"x":1}
              -> call u2 g__read{"x":2}
            cancel: by an operator
            history
              user: "go"
              assistant: u1 g__keyed{"x":1}, u2 g__read{"x":2}
              user: u1 ! unknown_outcome, u2 ! cancelled
            unknown g__keyed{"x":1}
        "#]],
    );
}

#[test]
fn a_model_that_fails_ends_the_turn() {
    check(
        "user: go; model: use g__read{x:1}; tool u1: one; model fails: too many",
        &expect![[r#"
        user: go
          -> ask model 1
        model: use g__read{x:1}
          -> call u1 g__read{"x":1}
        tool u1: one
          -> ask model 2
        model fails: too many
        history
          user: "go"
          assistant: u1 g__read{"x":1}
          user: u1 = one
        failed ThrottlingException: too many
    "#]],
    );
}

#[test]
fn repeated_and_missing_ids_of_tool_uses_become_unique() {
    check(
        "user: go; model: use g__read#a{x:1}, use g__read#a_2{x:2}, use g__read#a{x:3}; tool a: one; tool a_2: two; tool a_3: three; model: use g__read#a{x:4}, use g__read#{x:5}; tool a_0: four; tool _1: five; model: ok",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__read#a{x:1}, use g__read#a_2{x:2}, use g__read#a{x:3}
              -> call a g__read{"x":1}
              -> call a_2 g__read{"x":2}
              -> call a_3 g__read{"x":3}
            tool a: one
            tool a_2: two
            tool a_3: three
              -> ask model 2
            model: use g__read#a{x:4}, use g__read#{x:5}
              -> call a_0 g__read{"x":4}
              -> call _1 g__read{"x":5}
            tool a_0: four
            tool _1: five
              -> ask model 3
            model: ok
              -> finish "ok"
            history
              user: "go"
              assistant: a g__read{"x":1}, a_2 g__read{"x":2}, a_3 g__read{"x":3}
              user: a = one, a_2 = two, a_3 = three
              assistant: a_0 g__read{"x":4}, _1 g__read{"x":5}
              user: a_0 = four, _1 = five
              assistant: "ok"
        "#]],
    );
}

#[test]
fn a_tool_that_says_nothing_and_a_blank_reply_leave_no_blank_text() {
    check(
        "user: go; model:  , use g__read{x:1}; tool u1:  ; model:  ",
        &expect![[r#"
            user: go
              -> ask model 1
            model:  , use g__read{x:1}
              -> call u1 g__read{"x":1}
            tool u1:  
              -> ask model 2
            model:  
              -> give up NoAnswer
            history
              user: "go"
              assistant: u1 g__read{"x":1}
              user: u1 = (the tool returned nothing)
              assistant: "I have no answer to that. Please rephrase the request or try again."
        "#]],
    );
}

#[test]
fn an_answer_without_words_is_told_as_such_and_leaves_a_valid_history() {
    check(
        "user: go; model: think hm",
        &expect![[r#"
        user: go
          -> ask model 1
        model: think hm
          -> give up NoAnswer
        history
          user: "go"
          assistant: {"reasoningText":{"signature":"signature of hm","text":"hm"}}, "I have no answer to that. Please rephrase the request or try again."
    "#]],
    );
    check(
        "user: go; model: <answer> </answer>",
        &expect![[r#"
        user: go
          -> ask model 1
        model: <answer> </answer>
          -> give up NoAnswer
        history
          user: "go"
          assistant: "<answer> </answer>", "I have no answer to that. Please rephrase the request or try again."
    "#]],
    );
    check(
        "user: go; model withheld:  ",
        &expect![[r#"
        user: go
          -> ask model 1
        model withheld:  
          -> give up Withheld
        history
          user: "go"
          assistant: "I cannot answer that: a content filter withheld the answer."
    "#]],
    );
    check(
        "user: go; model withheld: half of",
        &expect![[r#"
        user: go
          -> ask model 1
        model withheld: half of
          -> finish "half of"
        history
          user: "go"
          assistant: "half of"
    "#]],
    );
}

#[test]
fn thoughts_and_their_signature_stay_before_the_calls_they_led_to() {
    check(
        "user: go; model: think first this, use g__read{x:1}; tool u1: one; \
         model: think then that, well, use client__ask{x:2}; client: u2 = two; model: done",
        &expect![[r#"
            user: go
              -> ask model 1
            model: think first this, use g__read{x:1}
              -> call u1 g__read{"x":1}
            tool u1: one
              -> ask model 2
            model: think then that, well, use client__ask{x:2}
              -> hand off u2
            client: u2 = two
              -> ask model 3
            model: done
              -> finish "done"
            history
              user: "go"
              assistant: {"reasoningText":{"signature":"signature of first this","text":"first this"}}, u1 g__read{"x":1}
              user: u1 = one
              assistant: {"reasoningText":{"signature":"signature of then that","text":"then that"}}, "well", u2 client__ask{"x":2}
              user: u2 = two
              assistant: "done"
        "#]],
    );
}

#[test]
fn an_answer_stands_between_its_tags() {
    check(
        "user: go; model: let me see <answer> 7 </answer> bye",
        &expect![[r#"
        user: go
          -> ask model 1
        model: let me see <answer> 7 </answer> bye
          -> finish "7"
        history
          user: "go"
          assistant: "let me see <answer> 7 </answer> bye"
    "#]],
    );
}

#[test]
fn a_file_of_a_turn_that_failed_is_not_sent_again() {
    let last = |end: Event| {
        let mut events = begin("see", Past::default());
        if let Some(Event::Accepted(accepted)) = events.first_mut() {
            accepted.files = vec![Block::Document(serde_json::json!({"name": "sums"}))];
        }
        events.push(end);
        Turn::replay(&events).leaves()[0].content[1].clone()
    };
    let failed = Event::ModelFailed(ModelFailed {
        step: 1,
        code: "DependencyFailedException".to_owned(),
        message: "no xls".to_owned(),
        heard: false,
        said: Vec::new(),
        consumed: false,
        wasted: Vec::new(),
    });
    let said = "(craton: the file sums was left out here, because the turn it came with failed)";
    assert_eq!(last(failed), Block::Text(said.to_owned()));
    let finished = Event::Finished { text: "done".to_owned() };
    assert!(matches!(last(finished), Block::Document(_)));
}
