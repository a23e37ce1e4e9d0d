#![allow(clippy::needless_pass_by_value, reason = "`json!` and `expect!` read best in place")]

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::*;
use crate::collect::Collect;
use crate::provider::ModelErrorKind;
use crate::remote::{self, Assemble as _, Key, Origin, Secrets};

fn call(members: Json) -> Call {
    let mut call = json!({ "model": "claude-tiny", "messages": [] });
    for (name, value) in members.as_object().unwrap() {
        call[name] = value.clone();
    }
    serde_json::from_value(call).unwrap()
}

fn check_request(members: Json, expected: Expect) {
    let seen = match request::request(&call(members), Some(7), CacheMode::Off) {
        Ok(request) => {
            let beta = request.headers.get("anthropic-beta");
            let beta = beta.map(|names| format!("beta {}\n", names.to_str().unwrap()));
            beta.unwrap_or_default() + &Json::Object(request.body).to_string()
        }
        Err(why) => format!("cannot: {why}"),
    };
    expected.assert_eq(&seen);
}

#[test]
fn thinking_goes_back_as_it_came_and_anothers_does_not() {
    let history = json!([
        { "role": "user", "content": [{ "text": "hi" }] },
        { "role": "assistant", "content": [
            { "reasoningContent": { "reasoningText": { "text": "hm \n", "signature": "c2ln/+==" } } },
            { "reasoningContent": { "redactedContent": "RW0vYWJjPT0=" } },
            { "reasoningContent": { "reasoningText": { "text": "another model's" } } },
            { "text": " " },
            { "toolUse": { "toolUseId": "a", "name": "f", "input": {} } },
        ]},
        { "role": "user", "content": [{ "toolResult": { "toolUseId": "a", "content": [] } }] },
        { "role": "assistant", "content": [
            { "reasoningContent": { "reasoningText": { "text": "", "signature": "" } } },
        ]},
        { "role": "user", "content": [{ "text": "well?" }] },
    ]);
    check_request(
        json!({ "messages": history }),
        expect![[
            r#"{"max_tokens":7,"messages":[{"content":[{"text":"hi","type":"text"}],"role":"user"},{"content":[{"signature":"c2ln/+==","thinking":"hm \n","type":"thinking"},{"data":"Em/abc==","type":"redacted_thinking"},{"id":"a","input":{},"name":"f","type":"tool_use"}],"role":"assistant"},{"content":[{"tool_use_id":"a","type":"tool_result"}],"role":"user"},{"content":[{"text":"well?","type":"text"}],"role":"user"}],"model":"claude-tiny","stream":true}"#
        ]],
    );
}

#[test]
fn results_stand_before_words_and_failures_say_so() {
    let history = json!([
        { "role": "assistant", "content": [
            { "toolUse": { "toolUseId": "functions.f:0", "name": "f", "input": "{broken" } },
            { "toolUse": { "toolUseId": "b", "name": "f", "input": {} } },
        ]},
        { "role": "user", "content": [
            { "text": "and hurry" },
            { "toolResult": { "toolUseId": "functions.f:0", "content": [
                { "text": "one" }, { "json": { "n": 1 } },
                { "image": { "format": "png", "source": { "bytes": "aWJt" } } },
            ]}},
            { "toolResult": { "toolUseId": "b", "content": [{ "text": "" }], "status": "error" } },
        ]},
    ]);
    check_request(
        json!({ "messages": history }),
        expect![[
            r#"{"max_tokens":7,"messages":[{"content":[{"id":"functions_2ef_3a0","input":{"malformed":"{broken"},"name":"f","type":"tool_use"},{"id":"b","input":{},"name":"f","type":"tool_use"}],"role":"assistant"},{"content":[{"content":[{"text":"one","type":"text"},{"text":"{\"n\":1}","type":"text"},{"source":{"data":"aWJt","media_type":"image/png","type":"base64"},"type":"image"}],"tool_use_id":"functions_2ef_3a0","type":"tool_result"},{"content":[{"text":"error","type":"text"}],"is_error":true,"tool_use_id":"b","type":"tool_result"},{"text":"and hurry","type":"text"}],"role":"user"}],"model":"claude-tiny","stream":true}"#
        ]],
    );
}

#[test]
fn what_may_be_cached_is_marked_where_the_points_stand() {
    check_request(
        json!({
            "system": ["one", " ", "two"],
            "tools": [{ "name": "f", "description": "", "schema": { "type": "object" } },
                      { "name": "g", "description": "does g", "schema": { "type": "object" } }],
            "cache": { "system": { "2": { "type": "default", "ttl": "1h" } },
                       "tools": { "1": { "type": "default" } } },
            "messages": [{ "role": "user", "content": [
                { "cachePoint": { "type": "default" } },
                { "text": "long" }, { "cachePoint": { "type": "default" } }, { "text": "short" },
            ]}],
        }),
        expect![[
            r#"{"max_tokens":7,"messages":[{"content":[{"cache_control":{"type":"ephemeral"},"text":"long","type":"text"},{"text":"short","type":"text"}],"role":"user"}],"model":"claude-tiny","stream":true,"system":[{"text":"one","type":"text"},{"cache_control":{"ttl":"1h","type":"ephemeral"},"text":"two","type":"text"}],"tools":[{"input_schema":{"type":"object"},"name":"f"},{"cache_control":{"type":"ephemeral"},"description":"does g","input_schema":{"type":"object"},"name":"g"}]}"#
        ]],
    );
}

#[test]
fn one_tool_use_at_a_time_is_part_of_the_choice_where_there_are_tools() {
    let options = json!({ "oneToolUse": true });
    let tools = json!([{ "name": "f", "description": "", "schema": { "type": "object" } }]);
    check_request(
        json!({ "tools": tools, "toolChoice": { "tool": "f" }, "options": options }),
        expect![[
            r#"{"max_tokens":7,"messages":[],"model":"claude-tiny","stream":true,"tool_choice":{"disable_parallel_tool_use":true,"name":"f","type":"tool"},"tools":[{"input_schema":{"type":"object"},"name":"f"}]}"#
        ]],
    );
    check_request(
        json!({ "options": options }),
        expect![[r#"{"max_tokens":7,"messages":[],"model":"claude-tiny","stream":true}"#]],
    );
}

#[test]
fn native_fields_are_merged_but_never_the_call_itself() {
    check_request(
        json!({
            "toolChoice": "any",
            "inference": { "maxTokens": 9, "temperature": 1.0, "topP": 0.5, "stopSequences": ["END"] },
            "additional": {
                "top_k": 5,
                "thinking": { "type": "enabled", "budget_tokens": 2000 },
                "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
                "anthropic_beta": ["one-2025-01-01", "two-2025-01-01"],
            },
        }),
        expect![[r#"
            beta one-2025-01-01,two-2025-01-01
            {"max_tokens":9,"messages":[],"model":"claude-tiny","stop_sequences":["END"],"stream":true,"temperature":1.0,"thinking":{"budget_tokens":2000,"type":"enabled"},"tool_choice":{"disable_parallel_tool_use":true,"type":"auto"},"top_k":5,"top_p":0.5}"#]],
    );
    for (additional, expected) in [
        (
            json!({ "system": "obey" }),
            expect![[r#"cannot: additionalModelRequestFields cannot set "system""#]],
        ),
        (json!([1]), expect!["cannot: additionalModelRequestFields must be an object"]),
        (
            json!({ "anthropic_beta": [1] }),
            expect!["cannot: anthropic_beta = [1]: it takes a list of names"],
        ),
    ] {
        check_request(json!({ "additional": additional }), expected);
    }
}

#[test]
fn a_call_without_a_limit_gets_what_its_model_can_give() {
    let limit = |model: &str, configured: Option<u32>, additional: Json| {
        let call = Call { model: model.to_owned(), ..call(json!({ "additional": additional })) };
        let body = request::request(&call, configured, CacheMode::Off).ok().unwrap().body;
        body["max_tokens"].as_u64().unwrap()
    };
    let thinking = || json!({ "thinking": { "type": "enabled", "budget_tokens": 5000 } });
    let table = [
        (limit("claude-3-haiku-20240307", None, json!({})), 4096),
        (limit("claude-3-5-sonnet-20241022", None, json!({})), 8192),
        (limit("claude-sonnet-4-5", None, json!({})), 64_000),
        (limit("claude-opus-4-1-20250805", None, json!({})), 32_000),
        (limit("qwen3:8b", None, json!({})), 4096),
        (limit("claude-sonnet-4-5", Some(100), json!({})), 100),
        (limit("qwen3:8b", None, thinking()), 9096),
        (limit("claude-sonnet-4-5", None, thinking()), 64_000),
        (limit("claude-sonnet-4-5", None, json!({ "max_tokens": 12 })), 12),
    ];
    table.iter().for_each(|(seen, expected)| assert_eq!(seen, expected));
}

#[test]
fn media_go_as_they_are_and_what_has_no_place_is_refused_by_name() {
    let user = |block: Json| json!({ "messages": [{ "role": "user", "content": [block] }] });
    let pdf = json!({ "format": "pdf", "name": "sums", "source": { "bytes": "JVBERg==" } });
    check_request(
        user(json!({ "document": pdf })),
        expect![[
            r#"{"max_tokens":7,"messages":[{"content":[{"source":{"data":"JVBERg==","media_type":"application/pdf","type":"base64"},"title":"sums","type":"document"}],"role":"user"}],"model":"claude-tiny","stream":true}"#
        ]],
    );
    let note = json!({ "format": "md", "name": "note", "context": "old",
                       "source": { "bytes": "IyBoaQ==" } });
    check_request(
        user(json!({ "document": note })),
        expect![[
            r##"{"max_tokens":7,"messages":[{"content":[{"context":"old","source":{"data":"# hi","media_type":"text/plain","type":"text"},"title":"note","type":"document"}],"role":"user"}],"model":"claude-tiny","stream":true}"##
        ]],
    );
    let parts =
        json!({ "name": "parts", "source": { "content": [{ "text": "a" }, { "text": "b" }] } });
    check_request(
        user(json!({ "document": parts })),
        expect![[
            r#"{"max_tokens":7,"messages":[{"content":[{"source":{"content":[{"text":"a","type":"text"},{"text":"b","type":"text"}],"type":"content"},"title":"parts","type":"document"}],"role":"user"}],"model":"claude-tiny","stream":true}"#
        ]],
    );
    let sheet = json!({ "format": "xlsx", "name": "sums", "source": { "bytes": "" } });
    check_request(
        user(json!({ "document": sheet })),
        expect![[r#"cannot: document: it takes no xlsx ("sums"); send text or PDF"#]],
    );
    let cited = json!({ "format": "txt", "name": "note", "citations": { "enabled": true },
                        "source": { "text": "x" } });
    check_request(
        user(json!({ "document": cited })),
        expect![[
            r#"{"max_tokens":7,"messages":[{"content":[{"citations":{"enabled":true},"source":{"data":"x","media_type":"text/plain","type":"text"},"title":"note","type":"document"}],"role":"user"}],"model":"claude-tiny","stream":true}"#
        ]],
    );
    check_request(user(json!({ "video": {} })), expect!["cannot: video: it takes none"]);
    let elsewhere = json!({ "format": "png", "source": { "s3Location": { "uri": "s3://b/k" } } });
    check_request(
        user(json!({ "image": elsewhere })),
        expect!["cannot: image.source: it takes bytes and cannot fetch from elsewhere"],
    );
}

fn origin() -> Origin {
    Origin {
        provider: "claude".to_owned(),
        base_url: "https://api.anthropic.com".to_owned(),
        key: Some(Key::Variable("CLAUDE_KEY".to_owned())),
    }
}

fn told(outcome: Result<Vec<wire::converse::Delta>, remote::Fault>) -> String {
    let deltas = match outcome {
        Ok(deltas) => deltas,
        Err(fault) => {
            let error = origin().fault(fault, &Secrets::default());
            return format!("{:?}: {error}", error.kind);
        }
    };
    let mut collect = Collect::default();
    deltas.into_iter().for_each(|delta| collect.absorb(delta));
    serde_json::to_string(&collect.finish().unwrap()).unwrap()
}

/// Feeds a stream, cut into pieces of every size, and shows the one reply that must come of it.
fn check_stream(events: &[Json], expected: Expect) {
    let named = |event: &Json| format!("event: {}\ndata: {event}\n\n", event["type"]);
    let stream: String = events.iter().map(named).collect();
    let assembler = || Assembler::new(&call(json!({})));
    let sizes = 1..=stream.len();
    let mut replies: Vec<String> =
        sizes.map(|size| told(remote::read(&stream, size, assembler()))).collect();
    replies.dedup();
    assert_eq!(replies.len(), 1, "{replies:#?}");
    expected.assert_eq(&replies[0]);
}

fn start(usage: Json) -> Json {
    json!({ "type": "message_start", "message": { "content": [], "usage": usage } })
}

fn block(index: u64, block: Json) -> Json {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn delta(index: u64, delta: Json) -> Json {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn close(index: u64) -> Json {
    json!({ "type": "content_block_stop", "index": index })
}

fn halt(reason: &str, usage: Json) -> Json {
    json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": usage })
}

fn end() -> Json {
    json!({ "type": "message_stop" })
}

#[test]
fn blocks_pass_as_they_come_and_those_of_host_tools_are_left_out() {
    check_stream(
        &[
            start(json!({ "input_tokens": 9, "cache_read_input_tokens": 3,
                          "cache_creation_input_tokens": 2, "output_tokens": 1 })),
            block(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
            json!({ "type": "ping" }),
            delta(0, json!({ "type": "thinking_delta", "thinking": "hm" })),
            delta(0, json!({ "type": "signature_delta", "signature": "c2ln" })),
            close(0),
            block(1, json!({ "type": "redacted_thinking", "data": "Em/abc==" })),
            close(1),
            block(2, json!({ "type": "server_tool_use", "id": "s", "name": "web", "input": {} })),
            delta(2, json!({ "type": "input_json_delta", "partial_json": "{}" })),
            close(2),
            block(3, json!({ "type": "text", "text": "" })),
            delta(3, json!({ "type": "text_delta", "text": "ü" })),
            delta(3, json!({ "type": "citations_delta", "citation": {} })),
            close(3),
            block(4, json!({ "type": "tool_use", "id": "toolu_1", "name": "f", "input": {} })),
            delta(4, json!({ "type": "input_json_delta", "partial_json": "{\"a\":" })),
            delta(4, json!({ "type": "input_json_delta", "partial_json": "1}" })),
            close(4),
            block(5, json!({ "type": "tool_use", "id": "toolu_1", "name": "g", "input": {} })),
            close(5),
            json!({ "type": "surely_new" }),
            halt("tool_use", json!({ "output_tokens": 12, "input_tokens": null })),
            end(),
        ],
        expect![[
            r#"{"content":[{"reasoningContent":{"reasoningText":{"signature":"c2ln","text":"hm"}}},{"reasoningContent":{"redactedContent":"RW0vYWJjPT0="}},{"text":"ü"},{"toolUse":{"toolUseId":"toolu_1","name":"f","input":{"a":1}}},{"toolUse":{"toolUseId":"tooluse_0","name":"g","input":{}}}],"stopReason":"tool_use","usage":{"inputTokens":9,"outputTokens":12,"cacheReadInputTokens":3,"cacheWriteInputTokens":2}}"#
        ]],
    );
}

/// The fields that a client asked for, out of a stream whose parts are of other types than the API's.
#[test]
fn native_fields_of_a_stream_without_shape_are_those_that_can_be_read() {
    let odd = |message: Json, usage: Json| {
        let events = [
            json!({ "type": "message_start", "message": message }),
            block(0, json!("x")),
            delta(0, json!({ "type": "text_delta", "text": "a" })),
            delta(0, json!({ "type": "citations_delta", "citation": {} })),
            close(0),
            halt("end_turn", usage),
            end(),
        ];
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let asking = json!({ "stream": true, "options": {
            "responsePaths": ["/usage", "/delta/stop_reason"],
        } });
        let deltas = remote::read(&stream, 64, Assembler::new(&call(asking))).unwrap();
        let fields = deltas.into_iter().find_map(|delta| match delta {
            wire::converse::Delta::Native(fields) => Some(fields.to_string()),
            _ => None,
        });
        fields.unwrap_or_default()
    };
    let told = r#"{"delta":{"stop_reason":"end_turn"},"usage":{"n":1}}"#;
    for message in [json!("x"), json!([]), json!(1), json!(null), json!({ "content": ["x"] })] {
        assert_eq!(odd(message.clone(), json!({ "n": 1 })), told, "{message}");
    }
    assert_eq!(odd(json!({ "usage": "x" }), json!({ "n": 1 })), told);
}

#[test]
fn a_stream_ends_with_its_reason_or_is_broken_off() {
    let words = || [block(0, json!({ "type": "text", "text": "half" }))];
    let reasons = [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "refusal",
        "pause_turn",
        "tool_use",
        "model_context_window_exceeded",
    ];
    let mut seen = String::new();
    for reason in reasons {
        let [words] = words();
        let events = [words, close(0), halt(reason, json!({})), end()];
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let reply = told(remote::read(&stream, 7, Assembler::new(&call(json!({})))));
        let reply: Json = serde_json::from_str(&reply).unwrap();
        seen += &format!("{reason}: {}\n", reply["stopReason"].as_str().unwrap());
    }
    expect![[r#"
        end_turn: end_turn
        max_tokens: max_tokens
        stop_sequence: stop_sequence
        refusal: content_filtered
        pause_turn: end_turn
        tool_use: end_turn
        model_context_window_exceeded: model_context_window_exceeded
    "#]]
    .assert_eq(&seen);
    check_stream(
        &words(),
        expect![[
            r#"Malformed: model provider "claude" (https://api.anthropic.com): the answer broke off before its end (CR0015)"#
        ]],
    );
    let [said] = words();
    check_stream(
        &[said, halt("end_turn", json!({}))],
        expect![[
            r#"{"content":[{"text":"half"}],"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
    let error =
        |kind: &str| json!({ "type": "error", "error": { "type": kind, "message": "so sorry" } });
    check_stream(
        &[start(json!({})), error("overloaded_error")],
        expect![[
            r#"Unavailable: model provider "claude" (https://api.anthropic.com) broke off: so sorry (CR0013)"#
        ]],
    );
    check_stream(
        &[error("rate_limit_error")],
        expect![[
            r#"Throttled: model provider "claude" (https://api.anthropic.com) broke off: so sorry (CR0012)"#
        ]],
    );
    check_stream(
        &[error("invalid_request_error")],
        expect![[
            r#"Refused: model provider "claude" (https://api.anthropic.com) broke off: so sorry (CR0011)"#
        ]],
    );
    check_stream(
        &[error("timeout_error")],
        expect![[
            r#"TimedOut: model provider "claude" (https://api.anthropic.com) broke off: so sorry (CR0014)"#
        ]],
    );
    check_stream(
        &[json!({ "type": "content_block_start" })],
        expect![[
            r#"Malformed: model provider "claude" (https://api.anthropic.com): a block of the answer has no number (CR0015)"#
        ]],
    );
}

#[test]
fn an_answer_in_one_piece_is_the_same() {
    let assembler = || Assembler::new(&call(json!({})));
    let message = json!({
        "type": "message", "stop_reason": "tool_use", "usage": { "input_tokens": 1, "output_tokens": 2 },
        "content": [
            { "type": "thinking", "thinking": "hm", "signature": "c2ln" },
            { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "a": 1 } },
        ],
    });
    expect![[r#"{"content":[{"reasoningContent":{"reasoningText":{"signature":"c2ln","text":"hm"}}},{"toolUse":{"toolUseId":"toolu_1","name":"f","input":{"a":1}}}],"stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":2}}"#]].assert_eq(&told(assembler().whole(message.to_string().as_bytes())));
    expect![[r#"Malformed: model provider "claude" (https://api.anthropic.com): the answer is not a message: it has no content (CR0015)"#]].assert_eq(&told(assembler().whole(b"{\"object\":\"surprise\"}")));
}

#[test]
fn a_refusal_names_provider_and_variable_and_how_long_to_wait() {
    let refusal = |status: u16, kind: &str, words: &str, wait: Option<u64>| {
        let body = json!({ "type": "error", "error": { "type": kind, "message": words } });
        let body = bytes::Bytes::from(body.to_string());
        let status = http::StatusCode::from_u16(status).unwrap();
        let error = origin().refusal(status, &body, "claude-tiny", &Secrets::one("sk-ant-secret"));
        let error = Origin::later(error, wait.map(std::time::Duration::from_secs));
        format!("{:?}: {error}\n", error.kind)
    };
    let seen = [
        refusal(400, "invalid_request_error", "max_tokens: too large", None),
        refusal(401, "authentication_error", "invalid x-api-key sk-ant-secret", None),
        refusal(403, "permission_error", "not yours", None),
        refusal(404, "not_found_error", "model: claude-tiny", None),
        refusal(413, "request_too_large", "too large", None),
        refusal(429, "rate_limit_error", "slow down", Some(12)),
        refusal(500, "api_error", "oh no", None),
        refusal(504, "timeout_error", "too slow", None),
        refusal(529, "overloaded_error", "Overloaded", None),
    ];
    expect![[r#"
        Refused: model provider "claude" (https://api.anthropic.com): HTTP 400 Bad Request: max_tokens: too large (its key is the environment variable CLAUDE_KEY) (CR0011)
        Refused: model provider "claude" (https://api.anthropic.com): HTTP 401 Unauthorized: invalid x-api-key ***; check the key: its key is the environment variable CLAUDE_KEY (CR0011)
        Refused: model provider "claude" (https://api.anthropic.com): HTTP 403 Forbidden: not yours; check the key: its key is the environment variable CLAUDE_KEY (CR0011)
        Refused: model provider "claude" (https://api.anthropic.com): HTTP 404 Not Found: model: claude-tiny; check base_url and the model name "claude-tiny" (its key is the environment variable CLAUDE_KEY) (CR0011)
        TooLong: model provider "claude" (https://api.anthropic.com): HTTP 413 Payload Too Large: too large (its key is the environment variable CLAUDE_KEY) (CR0034)
        Throttled: model provider "claude" (https://api.anthropic.com): HTTP 429 Too Many Requests: slow down (its key is the environment variable CLAUDE_KEY) (CR0012); it asks to wait 12 s
        Unavailable: model provider "claude" (https://api.anthropic.com): HTTP 500 Internal Server Error: oh no (CR0013)
        TimedOut: model provider "claude" (https://api.anthropic.com): HTTP 504 Gateway Timeout: too slow (CR0014)
        Unavailable: model provider "claude" (https://api.anthropic.com): HTTP 529 <unknown status code>: Overloaded (CR0013)
    "#]].assert_eq(&seen.concat());
}

#[tokio::test]
async fn the_key_goes_in_its_own_header_and_a_bad_one_is_named_before_anything_is_sent() {
    let config = |base_url: &str| Config {
        base_url: base_url.to_owned(),
        api_key: None,
        api_key_env: Some("CLAUDE_KEY".to_owned()),
        timeout_seconds: None,
        max_tokens: None,
        headers: BTreeMap::new(),
    };
    let client = || net::Client::new(net::Config::default());
    let mut provider =
        Anthropic::open("claude", config("http://127.0.0.1:9"), CacheMode::Auto, client()).unwrap();
    provider.remote.variable = |_| Some("two\nlines".to_owned());
    let error = provider.converse(&call(json!({}))).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Refused);
    expect![[r#"model provider "claude" (http://127.0.0.1:9): the environment variable CLAUDE_KEY, named by its api_key_env, holds characters that no key has; nothing was sent (CR0011)"#]].assert_eq(&error.message);
    let wrong = Anthropic::open("claude", config("api.anthropic.com"), CacheMode::Auto, client())
        .map(|_| ());
    expect![[r#"[providers.claude] base_url = "api.anthropic.com": not an http or https URL; write it as in "https://api.anthropic.com" (CR0008)"#]].assert_eq(&wrong.unwrap_err().to_string());
}

#[test]
fn a_native_answer_of_an_odd_shape_is_kept_as_far_as_it_has_one() {
    let mut answer = Json::Null;
    for event in [
        json!({ "type": "message_start", "message": "x" }),
        json!({ "type": "message_start", "message": { "usage": 5, "content": [] } }),
        json!({ "type": "content_block_start", "content_block": "x" }),
        json!({ "type": "content_block_start", "content_block": { "text": 1 } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "a" } }),
        json!({ "type": "content_block_stop", "index": 9 }),
        json!({ "type": "message_delta", "delta": "x", "usage": { "output_tokens": 1 } }),
    ] {
        native::absorb(&mut answer, &event, true);
    }
    expect![[r#"{"content":[{"text":"a"}],"delta":"x","usage":{"output_tokens":1}}"#]]
        .assert_eq(&answer.to_string());
}
