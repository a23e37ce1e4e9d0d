#![allow(clippy::needless_pass_by_value, reason = "literals read best in place")]

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};
use wire::converse::Call;

use super::*;
use crate::collect::Collect;
use crate::embed::EmbedRole;
use crate::remote::{self, Assemble as _};

fn call(mut given: Json) -> Call {
    given["model"] = given.get("model").cloned().unwrap_or_else(|| json!("gemini-2.5-pro"));
    serde_json::from_value(given).unwrap()
}

fn check(given: Json, expected: Expect) {
    let said = match request::body(&call(given)) {
        Ok(body) => String::from_utf8(body).unwrap(),
        Err(why) => format!("refused: {why}"),
    };
    expected.assert_eq(&said);
}

fn user(content: Json) -> Json {
    json!({ "messages": [{ "role": "user", "content": content }] })
}

#[test]
fn media_go_inline_and_text_documents_as_text() {
    check(
        user(json!([
            { "image": { "format": "png", "source": { "bytes": "aW1n" } } },
            { "document": { "format": "pdf", "name": "bill", "source": { "bytes": "cGRm" } } },
            { "document": { "format": "csv", "name": "rows", "source": { "bytes": "YSxi" } } },
            { "video": { "format": "three_gp", "source": { "bytes": "dmlk" } } },
            { "audio": { "format": "mpga", "source": { "bytes": "bXAz" } } },
            { "cachePoint": { "type": "default" } },
        ])),
        expect![[
            r#"{"contents":[{"parts":[{"inlineData":{"data":"aW1n","mimeType":"image/png"}},{"inlineData":{"data":"cGRm","mimeType":"application/pdf"}},{"text":"rows:\na,b"},{"inlineData":{"data":"dmlk","mimeType":"video/3gpp"}},{"inlineData":{"data":"bXAz","mimeType":"audio/mp3"}}],"role":"user"}]}"#
        ]],
    );
    for (block, expected) in [
        (
            json!({ "image": { "format": "gif", "source": { "bytes": "" } } }),
            expect![[r#"refused: it takes no image of format "gif"; send png, jpeg or webp"#]],
        ),
        (
            json!({ "video": { "format": "mp4", "source": { "s3Location": { "uri": "s3://b/k" } } } }),
            expect!["refused: video source: it takes bytes and cannot fetch from elsewhere"],
        ),
        (
            json!({ "video": { "format": "mkv", "source": { "bytes": "" } } }),
            expect![[r#"refused: it takes no video of format "mkv""#]],
        ),
        (
            json!({ "document": { "format": "docx", "name": "d", "source": { "bytes": "" } } }),
            expect![[r#"refused: it takes no docx document ("d"); send text or PDF"#]],
        ),
        (json!({ "searchResult": {} }), expect!["refused: it takes no searchResult"]),
    ] {
        check(user(json!([block])), expected);
    }
}

#[test]
fn settings_go_where_the_api_has_them_and_the_call_stays_ours() {
    let mut given = user(json!([{ "text": "hi" }]));
    given["inference"] = json!({ "maxTokens": 9, "topP": 0.5, "stopSequences": ["END"] });
    given["additional"] = json!({
        "top_k": 3, "thinkingConfig": { "thinkingBudget": 128 }, "safetySettings": [],
        "generationConfig": { "seed": 7 },
    });
    given["tools"] = json!([{ "name": "t", "description": "", "schema": { "type": "object" } }]);
    given["toolChoice"] = json!({ "tool": "t" });
    given["options"] = json!({ "output": { "textFormat": { "type": "json_schema", "structure": {
        "jsonSchema": { "schema": "{\"type\": \"object\"}" } } } } });
    check(
        given.clone(),
        expect![[
            r#"{"contents":[{"parts":[{"text":"hi"}],"role":"user"}],"generationConfig":{"maxOutputTokens":9,"responseJsonSchema":{"type":"object"},"responseMimeType":"application/json","seed":7,"stopSequences":["END"],"thinkingConfig":{"thinkingBudget":128},"topK":3,"topP":0.5},"safetySettings":[],"toolConfig":{"functionCallingConfig":{"allowedFunctionNames":["t"],"mode":"ANY"}},"tools":[{"functionDeclarations":[{"name":"t","parametersJsonSchema":{"type":"object"}}]}]}"#
        ]],
    );
    for (member, value, expected) in [
        (
            "additional",
            json!({ "contents": [] }),
            expect![[r#"refused: additionalModelRequestFields cannot set "contents""#]],
        ),
        (
            "options",
            json!({ "serviceTier": "priority" }),
            expect![[r#"refused: serviceTier "priority"; it has the default tier"#]],
        ),
        (
            "options",
            json!({ "latency": "optimized" }),
            expect![[
                r#"refused: performanceConfig.latency "optimized"; it has the standard latency"#
            ]],
        ),
        (
            "options",
            json!({ "responsePaths": ["/x"] }),
            expect!["refused: additionalModelResponseFieldPaths: its answer has other fields"],
        ),
        (
            "options",
            json!({ "output": { "effort": "max" } }),
            expect![[r#"refused: outputConfig.effort "max"; it knows low, medium and high"#]],
        ),
    ] {
        let mut other = given.clone();
        other[member] = value;
        check(other, expected);
    }
}

#[test]
fn signatures_go_back_to_the_parts_they_came_on_and_other_providers_thoughts_stay_behind() {
    let thought = |signature: &str| json!({ "reasoningContent": { "reasoningText": { "text": "hm", "signature": signature } } });
    let tool = |id: &str| json!({ "toolUse": { "toolUseId": id, "name": "t", "input": {} } });
    let result = |id: &str, status: &str| json!({ "toolResult": { "toolUseId": id, "content": [{ "text": "r" }], "status": status } });
    let given = json!({ "messages": [
        { "role": "user", "content": [{ "text": "q" }] },
        { "role": "assistant", "content": [thought("claude's"), tool("tooluse_0")] },
        { "role": "user", "content": [result("tooluse_0", "error")] },
        { "role": "assistant", "content": [
            thought("gemini:own"), { "text": "a" }, thought("gemini-last:last"),
            thought("gemini-next:next"), tool("c1"), tool("c2"),
        ] },
        { "role": "user", "content": [{ "text": "and" }, result("c1", "success"), result("c2", "success")] },
    ] });
    check(
        given.clone(),
        expect![[
            r#"{"contents":[{"parts":[{"text":"q"}],"role":"user"},{"parts":[{"functionCall":{"args":{},"name":"t"}}],"role":"model"},{"parts":[{"functionResponse":{"name":"t","response":{"error":"r"}}}],"role":"user"},{"parts":[{"text":"hm","thought":true,"thoughtSignature":"own"},{"text":"a","thoughtSignature":"last"},{"functionCall":{"args":{},"id":"c1","name":"t"},"thoughtSignature":"next"},{"functionCall":{"args":{},"id":"c2","name":"t"}}],"role":"model"},{"parts":[{"functionResponse":{"id":"c1","name":"t","response":{"output":"r"}}},{"functionResponse":{"id":"c2","name":"t","response":{"output":"r"}}},{"text":"and"}],"role":"user"}]}"#
        ]],
    );
    let mut newer = given;
    newer["model"] = json!("gemini-3-pro-preview");
    newer["messages"].as_array_mut().unwrap().truncate(3);
    check(
        newer,
        expect![[
            r#"{"contents":[{"parts":[{"text":"q"}],"role":"user"},{"parts":[{"functionCall":{"args":{},"name":"t"},"thoughtSignature":"skip_thought_signature_validator"}],"role":"model"},{"parts":[{"functionResponse":{"name":"t","response":{"error":"r"}}}],"role":"user"}]}"#
        ]],
    );
}

/// The answer whole, and the same in pieces of every size up to that of the text.
fn check_answer(chunks: Json, expected: Expect) {
    let chunks = chunks.as_array().unwrap();
    let stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    let mut said = None;
    for size in [1, 7, stream.len()] {
        let read = remote::read(&stream, size, Assembler::new(Ids::after(&[])));
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

fn chunk(parts: Json, reason: Json) -> Json {
    json!({ "candidates": [{ "content": { "parts": parts }, "finishReason": reason }] })
}

#[test]
fn an_answer_ends_for_the_reason_that_converse_has_for_it() {
    let said = |reason: &str| json!([chunk(json!([{ "text": "a" }]), json!(reason))]);
    check_answer(
        said("MAX_TOKENS"),
        expect![[
            r#"{"content":[{"text":"a"}],"stopReason":"max_tokens","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
    check_answer(
        said("SAFETY"),
        expect![[
            r#"{"content":[{"text":"a"}],"stopReason":"content_filtered","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
    check_answer(
        said("SOMETHING_NEW"),
        expect![[
            r#"{"content":[{"text":"a"}],"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
    check_answer(
        said("UNEXPECTED_TOOL_CALL"),
        expect![[r#"Malformed("the model gave up: UNEXPECTED_TOOL_CALL ")"#]],
    );
    check_answer(
        json!([chunk(json!([{ "text": "a" }]), Json::Null)]),
        expect![[r#"Malformed("the answer broke off before its end")"#]],
    );
    let blocked = json!([{ "promptFeedback": { "blockReason": "SAFETY" },
        "usageMetadata": { "promptTokenCount": 5, "totalTokenCount": 5 } }]);
    check_answer(
        blocked,
        expect![[
            r#"{"content":[],"stopReason":"content_filtered","usage":{"inputTokens":5,"outputTokens":0}}"#
        ]],
    );
    check_answer(
        json!([{ "error": { "code": 503, "message": "overloaded" } }]),
        expect![[r#"Provider(Object {"code": Number(503), "message": String("overloaded")})"#]],
    );
    let image = json!([{ "inlineData": { "mimeType": "image/png", "data": "" } }]);
    check_answer(
        json!([chunk(image, json!("STOP"))]),
        expect![[r#"Malformed("the answer holds inlineData, which Converse has no block for")"#]],
    );
    let usage = json!({ "promptTokenCount": -3, "candidatesTokenCount": i64::MAX,
        "thoughtsTokenCount": 2, "cachedContentTokenCount": 9 });
    let mut odd = chunk(json!([{ "text": "a" }]), json!("STOP"));
    odd["usageMetadata"] = usage;
    check_answer(
        json!([odd]),
        expect![[
            r#"{"content":[{"text":"a"}],"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":9223372036854775809,"cacheReadInputTokens":9}}"#
        ]],
    );
}

#[test]
fn an_answer_in_one_piece_is_read_like_a_stream() {
    let body = chunk(json!([{ "functionCall": { "name": "t" } }]), json!("STOP")).to_string();
    let deltas = Assembler::new(Ids::after(&[])).whole(body.as_bytes()).unwrap();
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
    };
    expect![[r#"{"requests":[{"content":{"parts":[{"text":"a"}]},"model":"models/gemini-embedding-001","outputDimensionality":2,"taskType":"RETRIEVAL_QUERY"},{"content":{"parts":[{"text":"b"}]},"model":"models/gemini-embedding-001","outputDimensionality":2,"taskType":"RETRIEVAL_QUERY"}]}"#]].assert_eq(&String::from_utf8(embed::body(&call)).unwrap());
    let answer = json!({ "embeddings": [{ "values": [3.0, 4.0] }, { "values": [0.0, 0.0] }] });
    expect!["Ok(Embedded { vectors: [[0.6, 0.8], [0.0, 0.0]], input_tokens: 0 })"]
        .assert_eq(&format!("{:?}", embed::vectors(&answer, &call)));
    let short = json!({ "embeddings": [{ "values": [3.0, 4.0] }] });
    expect![[r#"Err("1 embeddings for 2 texts")"#]]
        .assert_eq(&format!("{:?}", embed::vectors(&short, &call)));
}
