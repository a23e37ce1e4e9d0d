#![allow(clippy::needless_pass_by_value, reason = "`json!` and `expect!` read best in place")]

use bytes::Bytes;
use expect_test::{Expect, expect};
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::*;
use crate::collect::Collect;
use crate::provider::ModelErrorKind;
use crate::remote::{self, Key, Origin, Secrets};

fn call(members: Json) -> Call {
    let mut call = json!({ "model": "tiny", "messages": [] });
    for (name, value) in members.as_object().unwrap() {
        call[name] = value.clone();
    }
    serde_json::from_value(call).unwrap()
}

fn check_request(members: Json, expected: Expect) {
    let seen = match request::body(&call(members), &compatible(), CacheMode::Auto) {
        Ok(body) => String::from_utf8(body).unwrap(),
        Err(why) => format!("cannot: {why}"),
    };
    expected.assert_eq(&seen);
}

fn compatible() -> Dialect {
    Dialect::new(Name::Compatible, None, &Differs::default())
}

#[test]
fn tool_results_follow_their_calls_and_other_content_comes_after() {
    let history = json!([
        { "role": "assistant", "content": [
            { "reasoningContent": { "reasoningText": { "text": "hm" } } },
            { "toolUse": { "toolUseId": "a", "name": "f", "input": {} } },
            { "toolUse": { "toolUseId": "b", "name": "f", "input": "{broken" } },
        ]},
        { "role": "user", "content": [
            { "text": "and hurry" },
            { "toolResult": { "toolUseId": "a", "content": [
                { "text": "one" },
                { "json": { "n": 1 } },
                { "image": { "format": "png", "source": { "bytes": "aWJt" } } },
            ]}},
            { "toolResult": { "toolUseId": "b", "content": [{ "text": "no" }], "status": "error" } },
        ]},
    ]);
    check_request(
        json!({ "messages": history }),
        expect![[
            r#"{"model":"tiny","messages":[{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"f"},"id":"a","type":"function"},{"function":{"arguments":"{\"malformed\":\"{broken\"}","name":"f"},"id":"b","type":"function"}]},{"content":"one\n{\"n\":1}","role":"tool","tool_call_id":"a"},{"content":"error: no","role":"tool","tool_call_id":"b"},{"content":[{"text":"and hurry","type":"text"},{"text":"What tool call a returned beside its text:","type":"text"},{"image_url":{"url":"data:image/png;base64,aWJt"},"type":"image_url"}],"role":"user"}],"stream":false}"#
        ]],
    );
}

#[test]
fn names_schemas_choices_and_native_fields_go_out_as_they_came() {
    check_request(
        json!({
            "system": ["one", "two"],
            "tools": [{ "name": "Ünïcode-tool.v1::x", "description": "", "schema": {
                "type": "object", "$defs": { "a": { "const": "\u{7f}" } }, "x-odd": [null, 1.50] } }],
            "toolChoice": { "tool": "Ünïcode-tool.v1::x" },
            "options": { "oneToolUse": true },
            "inference": { "maxTokens": 7, "stopSequences": ["END"] },
            "additional": { "seed": 3, "max_tokens": 9 },
            "stream": true,
        }),
        expect![[
            r#"{"max_tokens":9,"messages":[{"content":"one\n\ntwo","role":"system"}],"model":"tiny","parallel_tool_calls":false,"seed":3,"stop":["END"],"stream":true,"stream_options":{"include_usage":true},"tool_choice":{"function":{"name":"Ünïcode-tool.v1::x"},"type":"function"},"tools":[{"function":{"name":"Ünïcode-tool.v1::x","parameters":{"$defs":{"a":{"const":""}},"type":"object","x-odd":[null,1.5]}},"type":"function"}]}"#
        ]],
    );
}

#[test]
fn what_the_protocol_has_no_place_for_is_refused_by_name() {
    let user = |block: Json| json!({ "messages": [{ "role": "user", "content": [block] }] });
    check_request(
        json!({ "additional": { "stream": false } }),
        expect![[r#"cannot: additionalModelRequestFields cannot set "stream""#]],
    );
    check_request(user(json!({ "video": {} })), expect!["cannot: video: it takes none"]);
    let elsewhere = json!({ "format": "png", "source": { "s3Location": { "uri": "s3://b/k" } } });
    check_request(
        user(json!({ "image": elsewhere })),
        expect!["cannot: image.source: it takes bytes and cannot fetch from elsewhere"],
    );
    let sheet = json!({ "format": "xlsx", "name": "sums", "source": { "bytes": "" } });
    check_request(
        user(json!({ "document": sheet })),
        expect![[r#"cannot: document: it takes no xlsx ("sums"); send text or PDF"#]],
    );
}

/// Feeds a stream, cut into pieces of every size, and shows the one reply that must come of it.
fn check_stream(stream: &str, expected: Expect) {
    let mut replies: Vec<String> = (1..=stream.len()).map(|size| read(stream, size)).collect();
    replies.dedup();
    assert_eq!(replies.len(), 1, "{replies:#?}");
    expected.assert_eq(&replies[0]);
}

fn read(stream: &str, size: usize) -> String {
    let deltas = match remote::read(
        stream,
        size,
        Assembler::new(Ids::after(&[]), Native::of(&call(json!({})))),
    ) {
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

#[test]
fn a_chunk_that_is_a_list_has_no_native_fields() {
    let asking = call(json!({ "options": { "responsePaths": ["/id"] } }));
    let assembler = Assembler::new(Ids::after(&[]), Native::of(&asking));
    let outcome = remote::read("data: [[], null, null]\n\ndata: [DONE]\n\n", 64, assembler);
    let error = origin().fault(outcome.unwrap_err(), &Secrets::default());
    assert_eq!(error.kind, ModelErrorKind::Malformed, "{error}");
}

#[test]
fn reasoning_then_text_then_interleaved_tool_calls_become_blocks_in_order() {
    check_stream(
        concat!(
            ": ping\r\n\r\nevent: x\r\n",
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\r\n\r\n",
            "data:{\"choices\":[{\"delta\":{\"content\":\"ü\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}},{\"index\":1,\"id\":\"a\",\"function\":{\"name\":\"g\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{\\\"y\\\":\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"2}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":null}}\n\n",
            "data: [DONE]\n\n",
        ),
        expect![[
            r#"{"content":[{"reasoningContent":{"reasoningText":{"text":"hm"}}},{"text":"ü"},{"toolUse":{"toolUseId":"a","name":"f","input":"{"}},{"toolUse":{"toolUseId":"tooluse_0","name":"g","input":{"y":2}}}],"stopReason":"tool_use","usage":{"inputTokens":9,"outputTokens":0}}"#
        ]],
    );
}

#[test]
fn a_stream_may_leave_out_its_last_empty_line_but_not_its_end() {
    let stop = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}";
    check_stream(
        stop,
        expect![[
            r#"{"content":[{"text":"a"}],"stopReason":"max_tokens","usage":{"inputTokens":0,"outputTokens":0}}"#
        ]],
    );
    check_stream(
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        expect![[
            r#"Malformed: model provider "cloud" (https://models.example/v1): the answer broke off before its end (CR0015)"#
        ]],
    );
    let broken = "data: {\"error\":{\"message\":\"out of memory\",\"code\":503}}\n\n";
    check_stream(
        broken,
        expect![[
            r#"Unavailable: model provider "cloud" (https://models.example/v1) broke off: out of memory (CR0013)"#
        ]],
    );
    check_stream(
        "data: {\"choices\":7}\n\n",
        expect![[
            r#"Malformed: model provider "cloud" (https://models.example/v1): the answer is not a chat completion: invalid type: integer `7`, expected a sequence at line 1 column 12 (CR0015)"#
        ]],
    );
}

fn origin() -> Origin {
    Origin {
        provider: "cloud".to_owned(),
        base_url: "https://models.example/v1".to_owned(),
        key: Some(Key::Variable("CLOUD_KEY".to_owned())),
    }
}

fn check_refusal(status: u16, body: &str, expected: Expect) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let status = StatusCode::from_u16(status).unwrap();
    let error = origin().refusal(status, &body, "tiny", &Secrets::one("sk-abcdef123456"));
    expected.assert_eq(&format!("{:?}: {error}", error.kind));
}

#[test]
fn a_refusal_names_provider_status_and_variable_and_never_the_key() {
    let body =
        r#"{"error":{"message":"Incorrect API key: sk-a*******3456, or sk-abcdef123456.\nSorry"}}"#;
    check_refusal(
        401,
        body,
        expect![[
            r#"Refused: model provider "cloud" (https://models.example/v1): HTTP 401 Unauthorized: Incorrect API key: *** or *** Sorry; check the key: its key is the environment variable CLOUD_KEY (CR0011)"#
        ]],
    );
    check_refusal(
        404,
        r#"{"error":"model not found"}"#,
        expect![[
            r#"Refused: model provider "cloud" (https://models.example/v1): HTTP 404 Not Found: model not found; check base_url and the model name "tiny" (its key is the environment variable CLOUD_KEY) (CR0011)"#
        ]],
    );
    check_refusal(
        400,
        r#"{"detail":[{"loc":["tools"]}]}"#,
        expect![[
            r#"Refused: model provider "cloud" (https://models.example/v1): HTTP 400 Bad Request: [{"loc":["tools"]}] (its key is the environment variable CLOUD_KEY) (CR0011)"#
        ]],
    );
    check_refusal(
        429,
        r#"{"error":{"message":"slow down"}}"#,
        expect![[
            r#"Throttled: model provider "cloud" (https://models.example/v1): HTTP 429 Too Many Requests: slow down (its key is the environment variable CLOUD_KEY) (CR0012)"#
        ]],
    );
    let empty = r#"{"error":{"message":"no funds","code":"insufficient_quota"}}"#;
    check_refusal(
        429,
        empty,
        expect![[
            r#"Refused: model provider "cloud" (https://models.example/v1): HTTP 429 Too Many Requests: no funds (its key is the environment variable CLOUD_KEY) (CR0011)"#
        ]],
    );
    check_refusal(
        400,
        r#"{"error":{"message":"This is too much","code":"context_length_exceeded"}}"#,
        expect![[
            r#"TooLong: model provider "cloud" (https://models.example/v1): HTTP 400 Bad Request: This is too much (its key is the environment variable CLOUD_KEY) (CR0034)"#
        ]],
    );
    check_refusal(
        400,
        r#"{"error":{"message":"You passed 1015 input tokens and requested 10 output tokens. However, the model's context length is only 1024 tokens","code":400}}"#,
        expect![[
            r#"TooLong: model provider "cloud" (https://models.example/v1): HTTP 400 Bad Request: You passed 1015 input tokens and requested 10 output tokens. However, the model's context length is only 1024 tokens (its key is the environment variable CLOUD_KEY) (CR0034)"#
        ]],
    );
    check_refusal(
        500,
        r#"{"error":{"message":"the request exceeds the available context size","code":500}}"#,
        expect![[
            r#"TooLong: model provider "cloud" (https://models.example/v1): HTTP 500 Internal Server Error: the request exceeds the available context size (CR0034)"#
        ]],
    );
    check_refusal(
        502,
        "<html>bad gateway</html>",
        expect![[
            r#"Unavailable: model provider "cloud" (https://models.example/v1): HTTP 502 Bad Gateway: <html>bad gateway</html> (CR0013)"#
        ]],
    );
    check_refusal(
        308,
        "",
        expect![[
            r#"Refused: model provider "cloud" (https://models.example/v1): HTTP 308 Permanent Redirect: (no message); check base_url: redirects are not followed (CR0011)"#
        ]],
    );
    let long = "x".repeat(5000);
    let error =
        origin().refusal(StatusCode::BAD_REQUEST, &Bytes::from(long), "tiny", &Secrets::default());
    assert!(error.message.len() < 600);
}

fn open(base_url: &str, api_key_env: Option<&str>, timeout_seconds: Option<u64>) -> OpenAi {
    let config = Config {
        base_url: base_url.to_owned(),
        api_key: None,
        api_key_env: api_key_env.map(str::to_owned),
        timeout_seconds,
        dialect: None,
        max_tokens_field: None,
        differs: Differs::default(),
        api_version: None,
        headers: BTreeMap::new(),
    };
    OpenAi::open("cloud", config, CacheMode::Auto, net::Client::new(net::Config::default()))
        .unwrap()
}

async fn check_call(provider: OpenAi, expected: Expect) {
    let error = provider.converse(&call(json!({}))).await.map(|_| ()).unwrap_err();
    expected.assert_eq(&format!("{:?}: {error}", error.kind));
}

#[tokio::test]
async fn a_missing_key_is_named_before_anything_is_sent() {
    let mut provider = open("http://127.0.0.1:9/v1", Some("CLOUD_KEY"), None);
    provider.remote.variable = |_| None;
    check_call(provider, expect![[r#"Refused: model provider "cloud" (http://127.0.0.1:9/v1): the environment variable CLOUD_KEY, named by its api_key_env, is not set; nothing was sent (CR0011)"#]]).await;
    let mut provider = open("http://127.0.0.1:9/v1", Some("CLOUD_KEY"), None);
    provider.remote.variable = |_| Some("two\nlines".to_owned());
    check_call(provider, expect![[r#"Refused: model provider "cloud" (http://127.0.0.1:9/v1): the environment variable CLOUD_KEY, named by its api_key_env, holds characters that no key has; nothing was sent (CR0011)"#]]).await;
}

#[tokio::test]
async fn a_provider_out_of_reach_or_too_slow_is_told_apart() {
    // Bound but never accepted from: a connection opens and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", silent.local_addr().unwrap());
    let slow = open(&base_url, None, Some(0)).converse(&call(json!({}))).await.map(|_| ());
    assert_eq!(slow.unwrap_err().kind, ModelErrorKind::TimedOut);
    drop(silent);
    let gone = open(&base_url, None, None).converse(&call(json!({}))).await.map(|_| ());
    assert_eq!(gone.unwrap_err().kind, ModelErrorKind::Unavailable);
}

#[test]
fn a_server_is_known_by_its_host_and_its_dialect_can_be_corrected() {
    let dialect = |base_url: &str, more: &str| {
        let text = format!("base_url = {base_url:?}\n{more}");
        let config: Config = toml::from_str(&text).unwrap();
        let client = net::Client::new(net::Config::default());
        OpenAi::open("x", config, CacheMode::Auto, client).unwrap().dialect
    };
    let field = |base_url| dialect(base_url, "").max_tokens;
    assert_eq!(field("https://api.openai.com/v1"), MaxTokensField::MaxCompletionTokens);
    assert_eq!(field("https://x.openai.azure.com/openai/v1"), MaxTokensField::MaxCompletionTokens);
    assert_eq!(field("http://127.0.0.1:11434/v1"), MaxTokensField::MaxTokens);
    assert_eq!(dialect("https://api.mistral.ai/v1", "").any_tool, "any");
    assert_eq!(dialect("https://notapi.mistral.ai/v1", "").any_tool, "required");
    let local = "http://127.0.0.1:1/v1";
    assert!(!dialect(local, "dialect = \"deepseek\"").images);
    let more = "dialect = \"deepseek\"\nmax_tokens_field = \"max_completion_tokens\"\n\
                [differs]\nimages = true\nfiles = true\ntop_k = false\nstop_sequences = 2\naudio = true";
    let corrected = dialect(local, more);
    assert_eq!(corrected.max_tokens, MaxTokensField::MaxCompletionTokens);
    assert!(corrected.images && corrected.refuses_top_k && corrected.stops == 2);
    assert_eq!((corrected.files, corrected.audio.len()), (dialect::Files::File, 2));
}
