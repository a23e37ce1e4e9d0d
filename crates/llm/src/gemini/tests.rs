#![allow(clippy::needless_pass_by_value, reason = "literals read best in place")]

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};
use wire::converse::Call;

use super::*;
use crate::collect::Collect;
use crate::embed::EmbedRole;
use crate::remote::{self, Assemble as _};

fn call() -> Call {
    serde_json::from_value(json!({ "model": "m", "messages": [] })).unwrap()
}

/// The answer whole, and the same in pieces of every size up to that of the text.
fn check_answer(chunks: Json, expected: Expect) {
    let chunks = chunks.as_array().unwrap();
    let stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    let mut said = None;
    for size in [1, 7, stream.len()] {
        let read =
            remote::read(&stream, size, Assembler::new(Ids::after(&[]), Native::of(&call())));
        let now = match read {
            Ok(deltas) => {
                let mut collect = Collect::default();
                deltas.into_iter().for_each(|delta| collect.absorb(delta));
                serde_json::to_string(&collect.finish().unwrap()).unwrap()
            }
            Err(fault) => format!("{fault:?}"),
        };
        assert!(said.replace(now.clone()).is_none_or(|before| before == now));
    }
    expected.assert_eq(&said.unwrap());
}

#[test]
fn chunks_may_be_cut_anywhere() {
    let chunk = |parts: Json, reason: Json| json!({ "candidates": [{ "content": { "parts": parts }, "finishReason": reason }] });
    check_answer(
        json!([
            chunk(json!([{ "text": "hm \u{fc}", "thought": true }]), Json::Null),
            chunk(json!([{ "text": "a\nb" }, { "functionCall": { "name": "t" } }]), json!("STOP")),
        ]),
        expect![[
            r#"{"content":[{"reasoningContent":{"reasoningText":{"text":"hm ü"}}},{"text":"a\nb"},{"toolUse":{"toolUseId":"tooluse_0","name":"t","input":{}}}],"stopReason":"tool_use","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
}

#[test]
fn a_native_answer_of_an_odd_shape_is_kept_as_far_as_it_has_one() {
    let mut answer = Json::Null;
    for chunk in [
        json!({ "candidates": {}, "usageMetadata": 7 }),
        json!({ "candidates": [[], "x", { "content": [[{ "text": "a" }]] }] }),
        json!({ "candidates": [{ "content": ["b"], "finishReason": null }, { "index": -1 }] }),
        json!({ "candidates": [{ "content": { "parts": [{ "text": "c" }, "d"] } }] }),
        json!({ "candidates": [{ "content": { "parts": "e" } }] }),
        json!([]),
    ] {
        native::absorb(&mut answer, chunk.to_string().as_bytes());
    }
    expect![[
        r#"{"candidates":[{"content":{"parts":[{"text":"c"},"d"]},"index":-1}],"usageMetadata":7}"#
    ]]
    .assert_eq(&answer.to_string());
}

#[test]
fn an_answer_in_one_piece_is_read_like_a_stream() {
    let parts = json!([{ "functionCall": { "name": "t" } }]);
    let body = json!({ "candidates": [{ "content": { "parts": parts }, "finishReason": "STOP" }] });
    let body = body.to_string();
    let deltas =
        Assembler::new(Ids::after(&[]), Native::of(&call())).whole(body.as_bytes()).unwrap();
    expect![[r#"[ToolUseStart { index: 0, id: "tooluse_0", name: "t" }, ToolUseInput { index: 0, json: "{}" }, BlockStop { index: 0 }, Stop(ToolUse)]"#]].assert_eq(&format!("{deltas:?}"));
}

#[test]
fn texts_are_embedded_in_one_request_and_an_answer_must_have_as_many_vectors() {
    let call = EmbedCall {
        model: "gemini-embedding-001".to_owned(),
        texts: vec!["a".to_owned(), "b".to_owned()],
        dimensions: Some(2),
        role: EmbedRole::Query,
        normalize: true,
        ..EmbedCall::default()
    };
    expect![[r#"{"requests":[{"content":{"parts":[{"text":"a"}]},"model":"models/gemini-embedding-001","outputDimensionality":2,"taskType":"RETRIEVAL_QUERY"},{"content":{"parts":[{"text":"b"}]},"model":"models/gemini-embedding-001","outputDimensionality":2,"taskType":"RETRIEVAL_QUERY"}]}"#]].assert_eq(&String::from_utf8(embed::body(&call)).unwrap());
    let answer = json!({ "embeddings": [{ "values": [3.0, 4.0] }, { "values": [0.0, 0.0] }] });
    expect!["Ok(Embedded { vectors: [[0.6, 0.8], [0.0, 0.0]], input_tokens: 0 })"]
        .assert_eq(&format!("{:?}", embed::vectors(&answer, &call)));
    let short = json!({ "embeddings": [{ "values": [3.0, 4.0] }] });
    expect![[r#"Err("1 embeddings for 2 texts")"#]]
        .assert_eq(&format!("{:?}", embed::vectors(&short, &call)));
}
