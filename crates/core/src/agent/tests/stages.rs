//! The stages around an orchestration, as scripts.

use expect_test::expect;

use super::script::check;

#[test]
fn an_invalid_input_ends_the_turn_before_the_orchestration() {
    check(
        "stages: pre post; user: your prompt!; model: <thinking>a trick</thinking><category>B",
        &expect![[r#"
            stages: pre post
            user: your prompt!
              -> ask model 1 PreProcess
            model: <thinking>a trick</thinking><category>B
              -> read Judged { valid: false, rationale: Some("a trick") }
              -> finish "Sorry, I am unable to assist you with this request."
            history
              user: "your prompt!"
              assistant: "Sorry, I am unable to assist you with this request."
        "#]],
    );
}

#[test]
fn a_valid_input_is_worked_on_and_its_answer_is_worded_last() {
    check(
        "stages: pre post; user: go; model: <category>D</category>; \
         model: use g__read{x:1}; tool u1: one; model: <answer>1</answer>; \
         model: <final_response>One.</final_response>",
        &expect![[r#"
            stages: pre post
            user: go
              -> ask model 1 PreProcess
            model: <category>D</category>
              -> read Judged { valid: true, rationale: None }
              -> ask model 2
            model: use g__read{x:1}
              -> call u1 g__read{"x":1}
            tool u1: one
              -> ask model 3
            model: <answer>1</answer>
              -> ask model 4 PostProcess
            model: <final_response>One.</final_response>
              -> read Said { rationale: None, text: "One.", asks: false }
              -> finish "One."
            history
              user: "go"
              assistant: u1 g__read{"x":1}
              user: u1 = one
              assistant: "One."
        "#]],
    );
}

#[test]
fn post_processing_without_words_leaves_the_answer_as_it_was() {
    check(
        "stages: post; user: go; model: <answer>1</answer>; model:  ",
        &expect![[r#"
        stages: post
        user: go
          -> ask model 1
        model: <answer>1</answer>
          -> ask model 2 PostProcess
        model:  
          -> read Said { rationale: None, text: "1", asks: false }
          -> finish "1"
        history
          user: "go"
          assistant: "1"
    "#]],
    );
    check(
        "stages: post; user: go; model:  ",
        &expect![[r#"
        stages: post
        user: go
          -> ask model 1
        model:  
          -> give up NoAnswer
        history
          user: "go"
          assistant: "I have no answer to that. Please rephrase the request or try again."
    "#]],
    );
}

#[test]
fn a_parser_function_says_what_a_reply_means() {
    check(
        r#"stages: ORCHESTRATION; user: go; model: CALL; parser: {"verdict":"calls","calls":[{"toolUseId":"p","name":"g__read","input":{"x":1}},{"toolUseId":"p","name":"g__once","input":{"x":2}}]}; tool p: one; tool p_1: two; model: DONE; parser: {"verdict":"said","text":"<b>"}"#,
        &expect![[r#"
            stages: ORCHESTRATION
            user: go
              -> ask model 1
            model: CALL
              -> ask parser Plan
            parser: {"verdict":"calls","calls":[{"toolUseId":"p","name":"g__read","input":{"x":1}},{"toolUseId":"p","name":"g__once","input":{"x":2}}]}
              -> call p g__read{"x":1}
              -> call p_1 g__once{"x":2}
            tool p: one
            tool p_1: two
              -> ask model 2
            model: DONE
              -> ask parser Plan
            parser: {"verdict":"said","text":"<b>"}
              -> finish "<b>"
            history
              user: "go"
              assistant: "CALL", p g__read{"x":1}, p_1 g__once{"x":2}
              user: p = one, p_1 = two
              assistant: "<b>"
        "#]],
    );
}

#[test]
fn what_a_parser_function_makes_of_a_reply_is_checked_like_a_reply() {
    check(
        r#"stages: ORCHESTRATION; user: go; model: CALL; parser: {"verdict":"calls","calls":[{"toolUseId":"p","name":"g__read","input":{"y":1}},{"toolUseId":"q","name":"nothing","input":{}}]}"#,
        &expect![[r#"
            stages: ORCHESTRATION
            user: go
              -> ask model 1
            model: CALL
              -> ask parser Plan
            parser: {"verdict":"calls","calls":[{"toolUseId":"p","name":"g__read","input":{"y":1}},{"toolUseId":"q","name":"nothing","input":{}}]}
              -> refuse p InvalidArguments: invalid_arguments: y: not an argument of this tool; x: required, missing; the tool was not called, correct the arguments and try again
              -> refuse q UnknownTool: unknown_tool: there is no tool nothing; the tools are g__read, g__keyed, g__once, client__ask
              -> ask model 2
            history
              user: "go"
              assistant: "CALL", p g__read{"y":1}, q nothing{}
              user: p ! invalid_arguments, q ! unknown_tool
        "#]],
    );
}

#[test]
fn a_parser_function_may_have_the_model_say_it_again_up_to_a_limit() {
    check(
        r#"stages: ORCHESTRATION; user: go; model: hm; parser: {"verdict":"again","message":"clearly!"}; model: use g__read{x:1}; parser: {"verdict":"again","message":"no"}; model: hm; parser: {"verdict":"again","message":"clearly!"}"#,
        &expect![[r#"
            stages: ORCHESTRATION
            user: go
              -> ask model 1
            model: hm
              -> ask parser Plan
            parser: {"verdict":"again","message":"clearly!"}
              -> ask model 2
            model: use g__read{x:1}
              -> ask parser Plan
            parser: {"verdict":"again","message":"no"}
              -> ask model 3
            model: hm
              -> ask parser Plan
            parser: {"verdict":"again","message":"clearly!"}
              -> give up TooManyRepairs
            history
              user: "go"
              assistant: "hm"
              user: "clearly!"
              assistant: u1 g__read{"x":1}
              user: u1 ! no
              assistant: "hm"
              user: "clearly!"
              assistant: "I could not work out a valid way to do this with my tools. Please rephrase the request."
        "#]],
    );
}

#[test]
fn a_question_of_a_parser_function_ends_the_turn() {
    check(
        r#"stages: ORCHESTRATION post; user: go; model: use g__read{x:1}; parser: {"verdict":"said","text":"Which?","asks":true}"#,
        &expect![[r#"
            stages: ORCHESTRATION post
            user: go
              -> ask model 1
            model: use g__read{x:1}
              -> ask parser Plan
            parser: {"verdict":"said","text":"Which?","asks":true}
              -> ask user "Which?"
            history
              user: "go"
              assistant: "Which?"
        "#]],
    );
}

#[test]
fn a_parser_function_that_fails_ends_the_turn_and_leaves_a_valid_history() {
    check(
        r#"stages: ORCHESTRATION; user: go; model: use g__once{x:1}; parser: {"verdict":"failed","message":"nonsense"}"#,
        &expect![[r#"
            stages: ORCHESTRATION
            user: go
              -> ask model 1
            model: use g__once{x:1}
              -> ask parser Plan
            parser: {"verdict":"failed","message":"nonsense"}
            history
              user: "go"
              assistant: u1 g__once{"x":1}
              user: u1 ! failed
            failed DependencyFailedException: nonsense
        "#]],
    );
    check(
        r#"stages: PRE; user: go; model: D; parser: {"verdict":"judged","valid":true}; model: hi"#,
        &expect![[r#"
            stages: PRE
            user: go
              -> ask model 1 PreProcess
            model: D
              -> ask parser PreProcess
            parser: {"verdict":"judged","valid":true}
              -> ask model 2
            model: hi
              -> finish "hi"
            history
              user: "go"
              assistant: "hi"
        "#]],
    );
}
