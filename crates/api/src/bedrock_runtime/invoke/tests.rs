use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use expect_test::{Expect, expect};
use llm::{BoxFuture, Deltas, EmbedCall, Embedded, ModelError, Models, Provider, Scripted, Step};
use serde_json::{Value as Json, json};
use wire::converse::Call;

use super::body::Body;
use super::family::Family;
use super::{Understood, understand};
use crate::cx::Cx;
use crate::testing::{call, cx, cx_of, done, refused};

/// The beginning of a picture.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUg==";
const CLAUDE: &str = "anthropic.claude-3-haiku-20240307-v1:0";

fn asked(model: &str, body: &Json) -> Json {
    json!({"modelId": model, "body": BASE64_STANDARD.encode(body.to_string())})
}

fn native(base64: &Json) -> Json {
    let bytes = BASE64_STANDARD.decode(base64.as_str().expect("a blob")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn answer(cx: &Cx, model: &str, body: &Json) -> Json {
    native(&done(cx, "InvokeModel", asked(model, body)).await["body"])
}

async fn chunks(cx: &Cx, model: &str, body: &Json) -> Vec<Json> {
    let input = asked(model, body);
    let (_, events) = call(cx, "InvokeModelWithResponseStream", input).await.unwrap();
    let chunk = |event: &Json| match event {
        Json::String(fault) => json!(fault),
        event => native(&event["chunk"]["bytes"]),
    };
    events.iter().map(chunk).collect()
}

/// What a body asks for, without what is not set.
fn understood(model: &str, body: &Json) -> Result<Call, String> {
    let text = |fault: wire::fault::Fault| fault.message().to_owned();
    let body = Body::read(body.to_string().as_bytes()).map_err(text)?;
    let Family::Text(family) = Family::of(model, &body).map_err(text)? else { unreachable!() };
    let Understood { call, .. } = understand(family, model, body).map_err(text)?;
    Ok(call)
}

#[expect(clippy::needless_pass_by_value, reason = "how an inline snapshot is written")]
fn check(model: &str, body: Json, expected: Expect) {
    let told = match understood(model, &body) {
        Ok(call) => {
            let mut json = serde_json::to_value(&call).unwrap();
            let members = json.as_object_mut().unwrap();
            members.remove("model");
            let bare = [json!(null), json!([]), json!({}), json!(false), json!("auto")];
            members.retain(|_, value| !bare.contains(value));
            json.to_string()
        }
        Err(refusal) => refusal,
    };
    expected.assert_eq(&told);
}

fn thinking() -> Step {
    Step::text("Hello.").usage(3, 4)
}

#[test]
fn a_messages_body_becomes_a_call() {
    check(
        CLAUDE,
        json!({
            "anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "top_k": 5,
            "temperature": 0.5, "stop_sequences": ["END"],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "look", "description": "Looks", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "look"},
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "user", "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                     "title": "T", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "abc"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1",
                    "content": "no", "is_error": true}]}],
        }),
        expect![[
            r#"{"additional":{"thinking":{"budget_tokens":1024,"type":"enabled"},"top_k":5},"cache":{"system":{"0":{"type":"default"}}},"inference":{"maxTokens":100,"stopSequences":["END"],"temperature":0.5},"messages":[{"content":[{"text":"Hi"},{"image":{"format":"png","source":{"bytes":"iVBORw0KGgoAAAANSUhEUg=="}}},{"document":{"format":"txt","name":"T","source":{"text":"x"}}},{"cachePoint":{"ttl":"1h","type":"default"}}],"role":"user"},{"content":[{"reasoningContent":{"reasoningText":{"signature":"sig","text":"Hm."}}},{"reasoningContent":{"redactedContent":"YWJj"}},{"toolUse":{"input":{"a":1},"name":"look","toolUseId":"t1"}}],"role":"assistant"},{"content":[{"toolResult":{"content":[{"text":"no"}],"status":"error","toolUseId":"t1"}}],"role":"user"}],"system":["Be brief."],"toolChoice":{"tool":"look"},"tools":[{"description":"Looks","name":"look","schema":{"type":"object"}}]}"#
        ]],
    );
}

#[test]
fn bodies_of_other_families_become_calls() {
    check(
        "amazon.nova-lite-v1:0",
        json!({
            "schemaVersion": "messages-v1", "system": [{"text": "S"}, {"cachePoint": {"type": "default"}}],
            "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
            "inferenceConfig": {"max_new_tokens": 7, "top_p": 0.5, "topK": 20},
            "toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {}}}}],
                           "toolChoice": {"any": {}}},
        }),
        expect![[
            r#"{"additional":{"top_k":20},"cache":{"system":{"0":{"type":"default"}}},"inference":{"maxTokens":7,"topP":0.5},"messages":[{"content":[{"text":"Hi"}],"role":"user"}],"system":["S"],"toolChoice":"any","tools":[{"description":"","name":"look","schema":{}}]}"#
        ]],
    );
    check(
        "meta.llama3-8b-instruct-v1:0",
        json!({"prompt": "<s>[INST] Hi [/INST]", "temperature": 0.1}),
        expect![[
            r#"{"inference":{"maxTokens":512,"temperature":0.1},"messages":[{"content":[{"text":"Hi"}],"role":"user"}]}"#
        ]],
    );
    check(
        "mistral.mistral-7b-instruct-v0:2",
        json!({"prompt": "Hi", "max_tokens": 9, "stop": ["x"], "top_k": 3}),
        expect![[
            r#"{"additional":{"top_k":3},"inference":{"maxTokens":9,"stopSequences":["x"]},"messages":[{"content":[{"text":"Hi"}],"role":"user"}]}"#
        ]],
    );
    check(
        "openai.gpt-oss-20b-1:0",
        json!({
            "model": "gpt", "max_completion_tokens": 5, "reasoning_effort": "low", "stop": "END",
            "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            "tool_choice": "required",
            "messages": [
                {"role": "developer", "content": "S"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "t1", "type": "function",
                    "function": {"name": "look", "arguments": "{\"a\":1}"}}]},
                {"role": "tool", "tool_call_id": "t1", "content": "1"}],
        }),
        expect![[
            r#"{"additional":{"reasoning_effort":"low"},"inference":{"maxTokens":5,"stopSequences":["END"]},"messages":[{"content":[{"image":{"format":"png","source":{"bytes":"iVBORw0KGgoAAAANSUhEUg=="}}}],"role":"user"},{"content":[{"toolUse":{"input":{"a":1},"name":"look","toolUseId":"t1"}}],"role":"assistant"},{"content":[{"toolResult":{"content":[{"text":"1"}],"toolUseId":"t1"}}],"role":"user"}],"system":["S"],"toolChoice":"any","tools":[{"description":"","name":"look","schema":{"type":"object"}}]}"#
        ]],
    );
    check(
        "amazon.titan-text-express-v1",
        json!({"inputText": "User: Hi\nBot:", "textGenerationConfig": {"maxTokenCount": 9, "topP": 1}}),
        expect![[
            r#"{"inference":{"maxTokens":9,"topP":1.0},"messages":[{"content":[{"text":"Hi"}],"role":"user"}]}"#
        ]],
    );
    check(
        "cohere.command-r-v1:0",
        json!({"message": "Who?", "preamble": "S", "p": 0.5, "k": 0,
               "chat_history": [{"role": "USER", "message": "Hi"}, {"role": "CHATBOT", "message": "Yo"}]}),
        expect![[
            r#"{"inference":{"topP":0.5},"messages":[{"content":[{"text":"Hi"}],"role":"user"},{"content":[{"text":"Yo"}],"role":"assistant"},{"content":[{"text":"Who?"}],"role":"user"}],"system":["S"]}"#
        ]],
    );
}

#[test]
fn a_body_that_is_not_what_its_family_takes_is_refused_in_the_words_of_aws() {
    let claude = |more: Json| {
        let mut body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
                              "messages": [{"role": "user", "content": "Hi"}]});
        let (body_members, more) =
            (body.as_object_mut().unwrap(), more.as_object().unwrap().clone());
        body_members.extend(more);
        body
    };
    let table = [
        (CLAUDE, json!({}), "#: required key [anthropic_version] not found"),
        (CLAUDE, claude(json!({"max_tokens": null})), "#: required key [max_tokens] not found"),
        (CLAUDE, claude(json!({"model": "x"})), "#: extraneous key [model] is not permitted"),
        (
            CLAUDE,
            claude(json!({"max_tokens": "9"})),
            "#/max_tokens: expected type: Integer, found: String",
        ),
        (
            CLAUDE,
            claude(json!({"temperature": 1.5})),
            "#/temperature: 1.5 is not less or equal to 1",
        ),
        (CLAUDE, claude(json!({"messages": []})), "#/messages: expected minimum item count: 1"),
        (
            CLAUDE,
            claude(json!({"messages": [{"role": "system", "content": "x"}]})),
            "#/messages/0/role: system",
        ),
        (
            CLAUDE,
            claude(json!({"tools": [{"type": "bash_20250124", "name": "bash"}]})),
            "'tools/0/type' yet",
        ),
        (
            CLAUDE,
            claude(json!({"messages": [{"role": "user", "content": [{"type": "video"}]}]})),
            "'messages/0/content/0/type' yet",
        ),
        (
            "meta.llama3-8b-instruct-v1:0",
            json!({"prompt": "x", "max_tokens": 9}),
            "#: extraneous key [max_tokens]",
        ),
        (
            "amazon.titan-text-lite-v1",
            json!({"prompt": "x"}),
            "#: required key [inputText] not found",
        ),
        (
            "amazon.nova-pro-v1:0",
            json!({"messages": [{"role": "user", "content": [{"image": {"format": "png",
            "source": {"s3Location": {"uri": "s3://b/k"}}}}]}]}),
            "objects in S3; send the bytes",
        ),
        ("cohere.command-r-v1:0", json!({"message": "x", "documents": [{}]}), "'documents' yet"),
        (
            "stability.sd3-5-large-v1:0",
            json!({"prompt": "x"}),
            "craton knows no native body of model",
        ),
    ];
    for (model, body, expected) in table {
        let said = understood(model, &body).expect_err(expected);
        assert!(said.contains(expected), "{said}");
    }
    assert!(
        Body::read(b"{").err().unwrap().message().starts_with("Malformed input request, please")
    );
}

#[tokio::test]
async fn a_claude_answers_with_a_message() {
    let cx = cx([Step::tool("look", json!({"a": 1})).usage(3, 4)]).await;
    let body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
                      "messages": [{"role": "user", "content": "Hi"}]});
    let mut told = answer(&cx, CLAUDE, &body).await;
    assert!(told["id"].as_str().unwrap().starts_with("msg_bdrk_"));
    told["id"] = json!("id");
    let expected = json!({
        "id": "id", "type": "message", "role": "assistant", "model": "claude-3-haiku-20240307",
        "content": [{"type": "tool_use", "id": "tooluse_0", "name": "look", "input": {"a": 1}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 4,
                  "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_claude_streams_the_events_of_messages_and_ends_with_the_metrics() {
    let cx = cx([Step::tool("look", json!({"a": 1})).usage(3, 4)]).await;
    let body = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
                      "messages": [{"role": "user", "content": "Hi"}]});
    let told = chunks(&cx, &format!("us.{CLAUDE}"), &body).await;
    let kinds: Vec<_> = told.iter().map(|chunk| chunk["type"].as_str().unwrap()).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(told[1]["content_block"]["name"], "look");
    assert_eq!(told[2]["delta"], json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"}));
    assert_eq!(told[4]["delta"]["stop_reason"], "tool_use");
    assert_eq!(told[4]["usage"]["input_tokens"], 3);
    let metrics = &told[5]["amazon-bedrock-invocationMetrics"];
    assert_eq!((&metrics["inputTokenCount"], &metrics["outputTokenCount"]), (&json!(3), &json!(4)));
    assert!(metrics["invocationLatency"].as_i64() >= metrics["firstByteLatency"].as_i64());
}

#[tokio::test]
async fn every_family_answers_and_streams_in_its_own_form() {
    let chat = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let table = [
        (
            "amazon.nova-lite-v1:0",
            json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}),
            "/output/message/content/0/text",
            "/contentBlockDelta/delta/text",
        ),
        ("meta.llama3-8b-instruct-v1:0", json!({"prompt": "Hi"}), "/generation", "/generation"),
        (
            "mistral.mistral-7b-instruct-v0:2",
            json!({"prompt": "Hi"}),
            "/outputs/0/text",
            "/outputs/0/text",
        ),
        (
            "mistral.mistral-large-2407-v1:0",
            chat.clone(),
            "/choices/0/message/content",
            "/choices/0/message/content",
        ),
        ("openai.gpt-oss-20b-1:0", chat, "/choices/0/message/content", "/choices/0/delta/content"),
        ("deepseek.r1-v1:0", json!({"prompt": "Hi"}), "/choices/0/text", "/choices/0/text"),
        (
            "amazon.titan-text-express-v1",
            json!({"inputText": "Hi"}),
            "/results/0/outputText",
            "/outputText",
        ),
        ("cohere.command-r-v1:0", json!({"message": "Hi"}), "/text", "/text"),
        (
            CLAUDE,
            json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
                        "messages": [{"role": "user", "content": "Hi"}]}),
            "/content/0/text",
            "/delta/text",
        ),
    ];
    for (model, body, whole, piece) in table {
        let cx = cx([thinking()]).await;
        let told = answer(&cx, model, &body).await;
        assert_eq!(told.pointer(whole), Some(&json!("Hello.")), "{model}: {told}");
        let told = chunks(&cx, model, &body).await;
        let said: String = told.iter().filter_map(|chunk| chunk.pointer(piece)?.as_str()).collect();
        assert_eq!(said, "Hello.", "{model}: {told:?}");
        let last = &told.last().unwrap()["amazon-bedrock-invocationMetrics"];
        assert_eq!(last["outputTokenCount"], 4, "{model}: {told:?}");
    }
}

#[tokio::test]
async fn what_a_header_asks_and_nobody_serves_is_refused_by_name() {
    let cx = cx([thinking()]).await;
    let body = json!({"prompt": "Hi"});
    for (member, value, expected) in [
        ("guardrailIdentifier", json!("gr"), "guardrails of models"),
        ("accept", json!("text/plain"), "'accept' is not supported"),
        ("requestMetadata", json!("[]"), "requestMetadata must be a JSON object"),
    ] {
        let mut input = asked("meta.llama3-8b-instruct-v1:0", &body);
        input[member] = value;
        let fault = refused(&cx, "InvokeModel", input).await;
        assert!(fault.starts_with("ValidationException") && fault.contains(expected), "{fault}");
    }
    let input = asked("amazon.titan-embed-text-v2:0", &json!({"inputText": "x"}));
    let fault = refused(&cx, "InvokeModelWithResponseStream", input).await;
    assert!(fault.contains("unsupported for streaming"), "{fault}");
}

#[test]
fn one_tool_use_at_a_time_is_asked_for_in_both_forms() {
    let tool = json!({"name": "look", "input_schema": {"type": "object"}});
    let hi = json!([{"role": "user", "content": "Hi"}]);
    check(
        CLAUDE,
        json!({"anthropic_version": "2026-10-21", "max_tokens": 9, "messages": hi, "tools": [tool],
               "tool_choice": {"type": "any", "disable_parallel_tool_use": true}}),
        expect![[
            r#"{"inference":{"maxTokens":9},"messages":[{"content":[{"text":"Hi"}],"role":"user"}],"options":{"oneToolUse":true},"toolChoice":"any","tools":[{"description":"","name":"look","schema":{"type":"object"}}]}"#
        ]],
    );
    let function = json!({"name": "look"});
    check(
        "openai.gpt-oss-20b-1:0",
        json!({"messages": hi, "tools": [{"type": "function", "function": function}],
               "parallel_tool_calls": false}),
        expect![[
            r#"{"messages":[{"content":[{"text":"Hi"}],"role":"user"}],"options":{"oneToolUse":true},"tools":[{"description":"","name":"look","schema":{"properties":{},"type":"object"}}]}"#
        ]],
    );
}

#[test]
fn a_version_that_is_neither_bedrocks_nor_a_date_is_refused() {
    for version in ["latest", "2023-5-31", "bedrock-2023-05-31x", "bedrock-2026-10-21", ""] {
        let body = json!({"anthropic_version": version, "max_tokens": 9, "messages": []});
        let refusal = understood(CLAUDE, &body).unwrap_err();
        assert_eq!(refusal, format!("Invalid API version: {version}"));
    }
}

/// A picture without pixels, of this width.
fn wide(width: u32) -> String {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(width.to_be_bytes());
    png.extend([0, 0, 0, 1, 8, 2, 0, 0, 0]);
    BASE64_STANDARD.encode(png)
}

fn messages_body(messages: &Json) -> Json {
    json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": messages})
}

fn shown_to_claude(images: impl Iterator<Item = (&'static str, String)>) -> Json {
    let image = |(kind, data)| {
        json!({"type": "image", "source":
            {"type": "base64", "media_type": format!("image/{kind}"), "data": data}})
    };
    let content: Vec<Json> = images.map(image).collect();
    messages_body(&json!([{"role": "user", "content": content}]))
}

fn fits(model: &str, body: &Json, expected: &str) {
    let said = understood(model, body).err().unwrap_or_default();
    let fits = if expected.is_empty() { said.is_empty() } else { said.contains(expected) };
    assert!(fits, "{model}: {expected:?}: {said}");
}

#[test]
fn images_of_a_native_body_are_held_to_what_its_vendor_says() {
    let claude = |kind, data: &str, expected: &str| {
        let one = std::iter::once((kind, data.to_owned()));
        fits(CLAUDE, &shown_to_claude(one), expected);
    };
    let place = "errors: messages.0.content.0.image.source.base64";
    claude("png", &wide(8_000), "");
    claude("png", &wide(8_001), "image dimensions exceed max allowed size: 8000 pixels");
    let one_is_another = "The image was specified using the image/jpeg media type, but the image \
                          appears to be a image/png image";
    claude("jpeg", PNG, &format!("{place}: {one_is_another}"));
    claude("png", "AAAA", &format!("{place}: Could not process image"));
    claude("png", "no base64!", &format!("{place}: invalid base64 data"));
    claude("png", &PNG.replace("AAA", "AAA\r\n"), "");
    let large = "A".repeat(5_242_884);
    claude("png", &large, "image exceeds 5 MB maximum: 5242884 bytes > 5242880 bytes");
    let many = |count, width| shown_to_claude((0..count).map(move |_| ("png", wide(width))));
    fits(CLAUDE, &many(20, 8_000), "");
    fits(CLAUDE, &many(21, 2_000), "");
    fits(CLAUDE, &many(21, 2_001), "many-image requests: 2000 pixels");
    fits(CLAUDE, &many(601, 1), "601 images, more than the 600 of a request");
    let image = |data: &str| json!({"image": {"format": "png", "source": {"bytes": data}}});
    let nova = |data| json!({"messages": [{"role": "user", "content": [image(data)]}]});
    fits("amazon.nova-lite-v1:0", &nova(PNG), "");
    let nova_place = "messages.0.content.0.image.source.bytes: Could not process image";
    fits("amazon.nova-lite-v1:0", &nova("AAAA"), nova_place);
    let chat = |url: &str| {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        json!({"messages": [{"role": "user", "content": [part]}]})
    };
    fits("qwen.qwen3-vl", &chat(&format!("data:image/jpeg;base64,{PNG}")), "");
    fits("qwen.qwen3-vl", &chat("data:image/bmp;base64,Qk0="), "");
    let garbage = "messages.0.content.0.image_url: Could not process image";
    fits("qwen.qwen3-vl", &chat("data:image/png;base64,AAAA"), garbage);
}

#[tokio::test]
async fn tool_uses_and_results_of_a_native_body_belong_together() {
    let user = |content: Json| json!({"role": "user", "content": content});
    let said = |content: Json| json!({"role": "assistant", "content": content});
    let used = json!({"type": "tool_use", "id": "a", "name": "look", "input": {}});
    let got = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "1"});
    let image = json!({"type": "image", "source":
        {"type": "base64", "media_type": "image/png", "data": PNG}});
    let claude = [
        (json!([user(json!("x")), said(json!([used])), user(json!([got("a")]))]), ""),
        (json!([said(json!("Hello!")), user(json!("x"))]), ""),
        (
            json!([said(json!([used])), user(json!("x"))]),
            "`tool_result` blocks right after them: a",
        ),
        (json!([user(json!([got("b")]))]), "of the message before asked for: b"),
        (
            json!([said(json!([used])), user(json!([got("a"), got("a")]))]),
            "of the message before asked for: a, a",
        ),
        (json!([user(json!([used]))]), "toolUse block, which only a message of role assistant"),
        (
            json!([user(json!("x")), said(json!([image]))]),
            "image block, which only a message of role user",
        ),
    ];
    for (messages, expected) in claude {
        fits(CLAUDE, &messages_body(&messages), expected);
    }
    let nova = json!({"messages": [said(json!([{"text": "Hello!"}]))]});
    fits("amazon.nova-lite-v1:0", &nova, "must start with a user message");
    let call = json!({"id": "a", "type": "function", "function": {"name": "look"}});
    let asked = json!({"role": "assistant", "tool_calls": [call]});
    let chat = json!({"messages": [asked, user(json!("x"))]});
    fits(
        "openai.gpt-oss-20b-1:0",
        &chat,
        "`tool_calls` ids without `tool` messages right after them: a",
    );
    let body = messages_body(&json!([user(json!([got("b")]))]));
    let body = BASE64_STANDARD.encode(body.to_string());
    let counted = json!({"modelId": CLAUDE, "input": {"invokeModel": {"body": body}}});
    let fault = refused(&cx([]).await, "CountTokens", counted).await;
    assert!(fault.starts_with("ValidationException") && fault.contains("asked for: b"), "{fault}");
}

#[test]
fn a_prompt_of_null_is_none() {
    let hi = json!([{"role": "user", "content": "Hi"}]);
    let version = "bedrock-2023-05-31";
    for (model, body) in [
        (CLAUDE, json!({"anthropic_version": version, "max_tokens": 9, "messages": hi})),
        ("mistral.mistral-large-2407-v1:0", json!({"messages": hi})),
        ("deepseek.v3-v1:0", json!({"messages": hi})),
    ] {
        let mut with = body.clone();
        with["prompt"] = Json::Null;
        assert_eq!(understood(model, &with).unwrap(), understood(model, &body).unwrap());
    }
}

#[tokio::test]
async fn the_first_claudes_and_command_complete_prompts() {
    let cx = cx([thinking(), thinking(), thinking(), thinking()]).await;
    let claude =
        json!({"prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 9, "top_k": 2});
    let command = json!({"prompt": "Hi", "max_tokens": 9, "p": 0.5, "k": 0, "temperature": 2});
    let mut told = vec![
        answer(&cx, "anthropic.claude-v2:1", &claude).await,
        answer(&cx, "cohere.command-text-v14", &command).await,
    ];
    told.extend(chunks(&cx, "anthropic.claude-v2:1", &claude).await);
    told.extend(chunks(&cx, "cohere.command-light-text-v14", &command).await);
    // The clock of tests goes on with each look at it, however many there are.
    for metrics in told.iter_mut().filter_map(|one| one.get_mut("amazon-bedrock-invocationMetrics"))
    {
        (metrics["firstByteLatency"], metrics["invocationLatency"]) = (json!(1), json!(2));
    }
    let told: Vec<String> = told.iter().map(Json::to_string).collect();
    expect![[r#"
        {"completion":"Hello.","stop":"\n\nHuman:","stop_reason":"stop_sequence","type":"completion"}
        {"generations":[{"finish_reason":"COMPLETE","id":"id-2","text":"Hello."}],"id":"id-2","prompt":"Hi"}
        {"completion":"Hello.","stop":null,"stop_reason":null,"type":"completion"}
        {"amazon-bedrock-invocationMetrics":{"firstByteLatency":1,"inputTokenCount":3,"invocationLatency":2,"outputTokenCount":4},"completion":"","stop":"\n\nHuman:","stop_reason":"stop_sequence","type":"completion"}
        {"finish_reason":null,"is_finished":false,"text":"Hello."}
        {"amazon-bedrock-invocationMetrics":{"firstByteLatency":1,"inputTokenCount":3,"invocationLatency":2,"outputTokenCount":4},"finish_reason":"COMPLETE","is_finished":true,"text":""}"#]].assert_eq(&told.join("\n"));
}

/// Counts by characters and makes vectors by lengths.
struct Numbers(Scripted);

impl Provider for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }

    fn count_tokens<'a>(
        &'a self,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Option<u64>, ModelError>> {
        let counted = call.messages.len() as u64 * 100;
        Box::pin(std::future::ready(Ok((counted != 200).then_some(counted))))
    }

    fn embed<'a>(&'a self, call: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        let vector = |text: &String| vec![0.5, -0.5, text.len() as f32];
        let vectors = call.texts.iter().map(vector).collect();
        Box::pin(std::future::ready(Ok(Embedded { vectors, input_tokens: 6 })))
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        self.0.converse(call)
    }
}

async fn numbers() -> Cx {
    cx_of(Models::single(Arc::new(Numbers(Scripted::from_steps([thinking()]))))).await
}

#[tokio::test]
async fn embeddings_come_in_the_forms_of_their_families() {
    let cx = numbers().await;
    let table = [
        (
            "amazon.titan-embed-text-v1",
            json!({"inputText": "ab"}),
            json!({"embedding": [0.5, -0.5, 2.0], "inputTextTokenCount": 6}),
        ),
        (
            "amazon.titan-embed-text-v2:0",
            json!({"inputText": "ab", "dimensions": 256, "embeddingTypes": ["binary"]}),
            json!({"embedding": [0.5, -0.5, 2.0], "embeddingsByType": {"binary": [1, 0, 1]}, "inputTextTokenCount": 6}),
        ),
        (
            "cohere.embed-english-v3",
            json!({"texts": ["a", "ab"], "input_type": "search_query"}),
            json!({"embeddings": [[0.5, -0.5, 1.0], [0.5, -0.5, 2.0]], "id": "id", "response_type": "embeddings_floats",
                "texts": ["a", "ab"]}),
        ),
        (
            "cohere.embed-v4:0",
            json!({"texts": ["a"], "input_type": "search_document", "embedding_types": ["ubinary", "binary", "int8", "uint8"]}),
            json!({"embeddings": {"ubinary": [[160]], "binary": [[32]], "int8": [[64, -64, 127]], "uint8": [[192, 64, 255]]}, "id": "id", "response_type": "embeddings_by_type"}),
        ),
        (
            "amazon.nova-2-multimodal-embeddings-v1:0",
            json!({"schemaVersion": "nova-multimodal-embed-v1", "taskType": "SINGLE_EMBEDDING",
                   "singleEmbeddingParams": {"embeddingPurpose": "TEXT_RETRIEVAL", "embeddingDimension": 1024,
                                             "text": {"truncationMode": "END", "value": "ab"}}}),
            json!({"embeddings": [{"embedding": [0.5, -0.5, 2.0], "embeddingType": "TEXT"}]}),
        ),
    ];
    for (model, body, expected) in table {
        let mut told = answer(&cx, model, &body).await;
        if told.get("id").is_some() {
            told["id"] = json!("id");
        }
        assert_eq!(told, expected, "{model}");
    }
    for (model, body, expected) in [
        (
            "amazon.titan-embed-text-v2:0",
            json!({"inputText": "x", "dimensions": 7}),
            "#/dimensions: 7 is not",
        ),
        ("cohere.embed-english-v3", json!({"texts": ["x"]}), "required key [input_type]"),
        (
            "cohere.embed-english-v3",
            json!({"texts": ["x".repeat(2049)], "input_type": "clustering"}),
            "expected maxLength: 2048",
        ),
        (
            "cohere.embed-english-v3",
            json!({"texts": ["x"], "input_type": "clustering", "embedding_types": ["int4"]}),
            "#/embedding_types: int4 is not",
        ),
        ("amazon.titan-embed-image-v1", json!({"inputImage": "AAAA"}), "embeddings of images"),
    ] {
        let fault = refused(&cx, "InvokeModel", asked(model, &body)).await;
        assert!(fault.contains(expected), "{fault}");
    }
}

#[tokio::test]
async fn a_provider_that_makes_no_vectors_is_named() {
    let cx = cx([thinking()]).await;
    let input = asked("amazon.titan-embed-text-v1", &json!({"inputText": "x"}));
    let fault = refused(&cx, "InvokeModel", input).await;
    assert!(fault.starts_with("ValidationException: scripted:"), "{fault}");
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_or_estimated() {
    let cx = numbers().await;
    let one = json!({"messages": [{"role": "user", "content": [{"text": "hello world"}]}]});
    let count = |input: Json| json!({"modelId": CLAUDE, "input": input});
    let counted = done(&cx, "CountTokens", count(json!({"converse": one}))).await;
    assert_eq!(counted, json!({"inputTokens": 100}));
    let two = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [
        {"role": "user", "content": "hello world"}, {"role": "assistant", "content": "hello world"}]});
    let two = json!({"invokeModel": {"body": BASE64_STANDARD.encode(two.to_string())}});
    let estimated = done(&cx, "CountTokens", count(two)).await;
    assert_eq!(estimated, json!({"inputTokens": 3 + 2 * (3 + 2)}));
}
