//! Conversations that are longer than their model reads.

use expect_test::expect;

use super::script::check;

#[test]
fn a_refused_conversation_loses_its_oldest_half_until_it_fits() {
    check(
        "earlier: 40 40 40 40; user: go; model overflows: too long; model overflows: too long; \
         model: <answer>done</answer>",
        &expect![[r#"
            earlier: 40 40 40 40
            user: go
              -> ask model 1
            model overflows: too long
              -> leave out 2 exchanges
              -> ask model 2
            model overflows: too long
              -> leave out 1 exchanges
              -> ask model 3
            model: <answer>done</answer>
              -> finish "done"
            history
              1 earlier exchanges
              user: "go"
              assistant: "<answer>done</answer>"
        "#]],
    );
}

#[test]
fn a_long_exchange_at_the_beginning_goes_alone() {
    check(
        "earlier: 4000 40 40; user: go; model overflows: too long",
        &expect![[r#"
        earlier: 4000 40 40
        user: go
          -> ask model 1
        model overflows: too long
          -> leave out 1 exchanges
          -> ask model 2
        history
          2 earlier exchanges
          user: "go"
    "#]],
    );
}

#[test]
fn a_turn_that_is_too_long_by_itself_has_its_largest_results_cut() {
    check(
        "user: go; model: use g__read{x:1}, use g__read{x:2}; tool u1: LONG; tool u2: short; \
         model overflows: too long; model overflows: too long; model: done",
        &expect![[r#"
            user: go
              -> ask model 1
            model: use g__read{x:1}, use g__read{x:2}
              -> call u1 g__read{"x":1}
              -> call u2 g__read{"x":2}
            tool u1: LONG
            tool u2: short
              -> ask model 2
            model overflows: too long
              -> leave out 0 exchanges, cut u1 to 4500
              -> ask model 3
            model overflows: too long
              -> leave out 0 exchanges, cut u1 to 2323
              -> ask model 4
            model: done
              -> finish "done"
            history
              user: "go"
              assistant: u1 g__read{"x":1}, u2 g__read{"x":2}
              user: u1 = 2470 bytes [craton: the result is cut here, after 2323 of 9000 bytes, because no more fits into what you can read; ask for less at once if you need the rest], u2 = short
              assistant: "done"
        "#]],
    );
}

#[test]
fn what_cannot_be_made_shorter_is_a_clear_end() {
    check(
        "earlier: 8; user: go; model overflows: a b; model overflows: a b",
        &expect![[r#"
            earlier: 8
            user: go
              -> ask model 1
            model overflows: a b
              -> leave out 1 exchanges
              -> ask model 2
            model overflows: a b
              -> fail
            history
              user: "go"
            failed ValidationException: the input is longer than the model can read, with nothing left to leave out; shorten it: a b
        "#]],
    );
}

#[test]
fn refusals_for_length_do_not_use_up_the_steps_of_a_turn() {
    let refusals = "model overflows: x; ".repeat(7);
    let earlier = "9 ".repeat(90);
    check(
        &format!("earlier: {}; user: go; {refusals}model: done", earlier.trim()),
        &expect![[r#"
        earlier: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9
        user: go
          -> ask model 1
        model overflows: x
          -> leave out 45 exchanges
          -> ask model 2
        model overflows: x
          -> leave out 23 exchanges
          -> ask model 3
        model overflows: x
          -> leave out 11 exchanges
          -> ask model 4
        model overflows: x
          -> leave out 6 exchanges
          -> ask model 5
        model overflows: x
          -> leave out 3 exchanges
          -> ask model 6
        model overflows: x
          -> leave out 1 exchanges
          -> ask model 7
        model overflows: x
          -> leave out 1 exchanges
          -> ask model 8
        model: done
          -> finish "done"
        history
          user: "go"
          assistant: "done"
    "#]],
    );
}

#[test]
fn a_model_that_says_how_much_it_reads_is_not_asked_too_much() {
    check(
        "reads: 130; earlier: 100 100 100; user: go; model: done",
        &expect![[r#"
        reads: 130
        earlier: 100 100 100
        user: go
          -> leave out 3 exchanges
          -> ask model 1
        model: done
          -> finish "done"
        history
          user: "go"
          assistant: "done"
    "#]],
    );
    check(
        "reads: 2000; earlier: 100; user: go; model: use g__read{x:1}; tool u1: LONG; model: done",
        &expect![[r#"
            reads: 2000
            earlier: 100
            user: go
              -> ask model 1
            model: use g__read{x:1}
              -> call u1 g__read{"x":1}
            tool u1: LONG
              -> leave out 1 exchanges, cut u1 to 4500
              -> ask model 2
            model: done
              -> finish "done"
            history
              user: "go"
              assistant: u1 g__read{"x":1}
              user: u1 = 4647 bytes [craton: the result is cut here, after 4500 of 9000 bytes, because no more fits into what you can read; ask for less at once if you need the rest]
              assistant: "done"
        "#]],
    );
}

#[test]
fn an_answer_outlasts_post_processing_that_is_refused_for_its_length() {
    check(
        "stages: post; earlier: 40 40; user: go; model: <answer>1</answer>; model overflows: x; \
         model:  ",
        &expect![[r#"
            stages: post
            earlier: 40 40
            user: go
              -> ask model 1
            model: <answer>1</answer>
              -> ask model 2 PostProcess
            model overflows: x
              -> leave out 1 exchanges
              -> ask model 3 PostProcess
            model:  
              -> read Said { rationale: None, text: "1", asks: false }
              -> finish "1"
            history
              1 earlier exchanges
              user: "go"
              assistant: "1"
        "#]],
    );
}
