#![allow(clippy::needless_pass_by_value, reason = "`json!` and `expect!` read best in place")]

use expect_test::{Expect, expect};

use super::*;

fn check(deltas: Vec<Delta>, expected: Expect) {
    let mut collect = Collect::default();
    for delta in deltas {
        collect.absorb(delta);
    }
    let seen = match collect.finish() {
        Ok(reply) => serde_json::to_string(&reply).unwrap(),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&seen);
}

fn text(index: usize, text: &str) -> Delta {
    Delta::Text { index, text: text.into() }
}

fn start(index: usize) -> Delta {
    Delta::ToolUseStart { index, id: format!("tooluse_{index}"), name: "find".into() }
}

fn input(index: usize, json: &str) -> Delta {
    Delta::ToolUseInput { index, json: json.into() }
}

#[test]
fn pieces_of_interleaved_blocks_become_whole_blocks_in_order() {
    let deltas = vec![
        text(0, "Let me "),
        start(2),
        start(1),
        input(1, "{\"a\""),
        text(0, "look."),
        input(2, "{}"),
        input(1, ":1}"),
        Delta::Stop(StopReason::ToolUse),
        Delta::Usage(Usage { input_tokens: 3, output_tokens: 5, ..Usage::default() }),
    ];
    check(
        deltas,
        expect![[
            r#"{"content":[{"text":"Let me look."},{"toolUse":{"toolUseId":"tooluse_1","name":"find","input":{"a":1}}},{"toolUse":{"toolUseId":"tooluse_2","name":"find","input":{}}}],"stopReason":"tool_use","usage":{"inputTokens":3,"outputTokens":5}}"#
        ]],
    );
}

#[test]
fn text_that_rests_on_sources_is_told_with_them_and_comes_apart_again() {
    let citation =
        serde_json::json!({ "title": "note", "location": { "documentChar": { "start": 0 } } });
    let said = vec![
        text(0, "It is "),
        text(1, "green"),
        Delta::Citation { index: 1, citation },
        Delta::Stop(StopReason::EndTurn),
    ];
    check(
        said.clone(),
        expect![[
            r#"{"content":[{"text":"It is "},{"citationsContent":{"citations":[{"location":{"documentChar":{"start":0}},"title":"note"}],"content":[{"text":"green"}]}}],"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
    let fold = |deltas: Vec<Delta>| {
        let mut collect = Collect::default();
        deltas.into_iter().for_each(|delta| collect.absorb(delta));
        collect.finish().unwrap()
    };
    assert_eq!(fold(deltas(fold(said.clone()), 0)), fold(said));
}

#[test]
fn tool_input_that_is_not_json_stays_as_text_and_an_empty_one_is_an_object() {
    let deltas = vec![start(0), input(0, "{\"a\": "), start(1), Delta::Stop(StopReason::ToolUse)];
    check(
        deltas,
        expect![[
            r#"{"content":[{"toolUse":{"toolUseId":"tooluse_0","name":"find","input":"{\"a\": "}},{"toolUse":{"toolUseId":"tooluse_1","name":"find","input":{}}}],"stopReason":"tool_use","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
}

#[test]
fn a_reply_without_a_stop_is_no_reply() {
    check(
        vec![text(0, "half a sen")],
        expect!["the model's reply broke off before its end (CR0015)"],
    );
}

#[test]
fn a_block_of_two_kinds_and_a_reply_without_end_are_refused() {
    check(
        vec![start(0), text(0, "x"), Delta::Stop(StopReason::EndTurn)],
        expect!["the model's reply is unusable: one block holds two kinds of content (CR0015)"],
    );
    let endless = (0..=REPLY_BLOCKS).map(|index| text(index, "x"));
    check(
        endless.chain([Delta::Stop(StopReason::EndTurn)]).collect(),
        expect!["the model's reply is unusable: it has too many blocks (CR0015)"],
    );
}

#[test]
fn a_reply_taken_apart_and_folded_is_the_same_reply() {
    let reply: Reply = serde_json::from_value(json!({
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm"}}},
            {"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln=="}}},
            {"reasoningContent": {"redactedContent": "b3BhcXVl"}},
            {"text": "Grüße aus der Küche"},
            {"toolUse": {"toolUseId": "t1", "name": "find", "input": {"q": [1, "zwei"]}}},
            {"toolUse": {"toolUseId": "t2", "name": "find", "input": "{broken"}},
        ],
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1, "outputTokens": 2},
    }))
    .unwrap();
    for piece in [0, 1, 3] {
        let mut collect = Collect::default();
        deltas(reply.clone(), piece).into_iter().for_each(|delta| collect.absorb(delta));
        assert_eq!(collect.finish().unwrap(), reply);
    }
}
