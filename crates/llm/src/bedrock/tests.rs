#![allow(clippy::needless_pass_by_value, reason = "literals read best in place")]

use expect_test::{Expect, expect};
use serde_json::json;
use wire::converse::Call;

use super::*;
use crate::collect::Collect;
use crate::embed::EmbedRole;
use crate::remote::Assemble as _;

fn call(given: Json) -> Call {
    serde_json::from_value(given).unwrap()
}

#[test]
fn a_call_goes_out_in_converses_own_shape_with_all_that_was_asked_for() {
    let given = json!({
        "model": "m",
        "system": ["one", "two"],
        "cache": { "system": { "1": { "type": "default" } }, "tools": { "0": { "type": "default" } } },
        "messages": [{ "role": "user", "content": [
            { "text": "hi" },
            { "image": { "format": "png", "source": { "bytes": "aW1n" } } },
            { "document": { "format": "pdf", "name": "d", "source": { "s3Location": { "uri": "s3://b/k" } } } },
            { "guardContent": { "text": { "text": "g" } } },
            { "searchResult": { "source": "s", "title": "t", "content": [] } },
            { "cachePoint": { "type": "default", "ttl": "1h" } },
        ] }],
        "tools": [{ "name": "t", "description": "", "schema": {}, "strict": true }],
        "toolChoice": "any",
        "inference": { "topP": 0.1 },
        "additional": { "top_k": 5 },
        "options": {
            "serviceTier": "priority", "latency": "optimized", "output": { "effort": "low" },
            "responsePaths": ["/stop_sequence"], "metadata": { "secret": "stays" },
        },
    });
    expect![[r#"{"additionalModelRequestFields":{"top_k":5},"additionalModelResponseFieldPaths":["/stop_sequence"],"inferenceConfig":{"topP":0.1},"messages":[{"content":[{"text":"hi"},{"image":{"format":"png","source":{"bytes":"aW1n"}}},{"document":{"format":"pdf","name":"d","source":{"s3Location":{"uri":"s3://b/k"}}}},{"guardContent":{"text":{"text":"g"}}},{"searchResult":{"content":[],"source":"s","title":"t"}},{"cachePoint":{"ttl":"1h","type":"default"}}],"role":"user"}],"outputConfig":{"effort":"low"},"performanceConfig":{"latency":"optimized"},"serviceTier":{"type":"priority"},"system":[{"text":"one"},{"text":"two"},{"cachePoint":{"type":"default"}}],"toolConfig":{"toolChoice":{"any":{}},"tools":[{"toolSpec":{"inputSchema":{"json":{}},"name":"t","strict":true}},{"cachePoint":{"type":"default"}}]}}"#]].assert_eq(&request::body(&call(given.clone())).unwrap().to_string());
    expect![[r#"{"input":{"converse":{"additionalModelRequestFields":{"top_k":5},"messages":[{"content":[{"text":"hi"},{"image":{"format":"png","source":{"bytes":"aW1n"}}},{"document":{"format":"pdf","name":"d","source":{"s3Location":{"uri":"s3://b/k"}}}},{"guardContent":{"text":{"text":"g"}}},{"searchResult":{"content":[],"source":"s","title":"t"}},{"cachePoint":{"ttl":"1h","type":"default"}}],"role":"user"}],"system":[{"text":"one"},{"text":"two"},{"cachePoint":{"type":"default"}}],"toolConfig":{"toolChoice":{"any":{}},"tools":[{"toolSpec":{"inputSchema":{"json":{}},"name":"t","strict":true}},{"cachePoint":{"type":"default"}}]}}}}"#]].assert_eq(&request::counted(&call(given)).unwrap().to_string());
}

#[test]
fn what_craton_takes_and_aws_refuses_is_put_right() {
    let given = json!({ "model": "m", "messages": [
        { "role": "user", "content": [{ "text": " " }] },
        { "role": "user", "content": [{ "text": "a" }] },
        { "role": "user", "content": [{ "text": "b" }] },
        { "role": "assistant", "content": [{ "toolUse": { "toolUseId": "x", "name": "t", "input": "{bro" } }] },
        { "role": "user", "content": [
            { "text": "c" }, { "toolResult": { "toolUseId": "x", "content": [], "status": "error" } },
        ] },
    ] });
    expect![[r#"{"messages":[{"content":[{"text":"a"},{"text":"b"}],"role":"user"},{"content":[{"toolUse":{"input":{"malformed":"{bro"},"name":"t","toolUseId":"x"}}],"role":"assistant"},{"content":[{"toolResult":{"content":[],"status":"error","toolUseId":"x"}},{"text":"c"}],"role":"user"}],"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{"type":"object"}},"name":"t"}}]}}"#]].assert_eq(&request::body(&call(given)).unwrap().to_string());
}

fn check(events: Json, expected: Expect) {
    let (mut assembler, mut out) = (Assembler::new(Ids::after(&[])), Vec::new());
    let mut read = Ok(false);
    for event in events.as_array().unwrap() {
        read = read.and_then(|_| assembler.event(event.to_string().as_bytes(), &mut out));
    }
    if matches!(read, Ok(false)) {
        read = assembler.broke_off(&mut out).map(|()| true);
    }
    let said = match read {
        Ok(_) => {
            let mut collect = Collect::default();
            out.into_iter().for_each(|delta| collect.absorb(delta));
            serde_json::to_string(&collect.finish().unwrap()).unwrap()
        }
        Err(fault) => format!("{fault:?}"),
    };
    expected.assert_eq(&said);
}

#[test]
fn a_stream_says_all_that_converse_can_say() {
    let delta = |at: u64, delta: Json| json!({ "contentBlockDelta": { "contentBlockIndex": at, "delta": delta } });
    let stop = |reason: &str| {
        json!({ "messageStop": { "stopReason": reason,
            "additionalModelResponseFields": { "stop_sequence": "END" } } })
    };
    let usage = json!({ "metadata": { "usage": { "inputTokens": 1, "outputTokens": 2,
        "cacheWriteInputTokens": 9, "cacheDetails": [{ "ttl": "1h", "inputTokens": 4 }] } } });
    check(
        json!([
            { "messageStart": { "role": "assistant" } },
            delta(3, json!({ "text": "It is" })),
            delta(3, json!({ "citation": { "title": "note" } })),
            { "craton-keep-alive": {} },
            delta(5, json!({ "text": "." })),
            stop("stop_sequence"),
            usage,
        ]),
        expect![[
            r#"{"content":[{"citationsContent":{"citations":[{"title":"note"}],"content":[{"text":"It is"}]}},{"text":"."}],"stopReason":"stop_sequence","usage":{"inputTokens":1,"outputTokens":2,"cacheWriteInputTokens":9,"cacheWriteHourInputTokens":4},"native":{"stop_sequence":"END"}}"#
        ]],
    );
    check(
        json!([delta(0, json!({ "text": "a" })), stop("malformed_tool_use")]),
        expect![[r#"Malformed("the model gave up: malformed_tool_use")"#]],
    );
    check(
        json!([delta(0, json!({ "text": "a" }))]),
        expect![[r#"Malformed("the answer broke off before its end")"#]],
    );
    check(
        json!([delta(0, json!({ "image": {} }))]),
        expect![[r#"Malformed("the answer holds image, which is not known")"#]],
    );
    check(
        json!([delta(0, json!({ "text": "a" })), stop("newly_invented")]),
        expect![[
            r#"{"content":[{"text":"a"}],"stopReason":"end_turn","usage":{"inputTokens":0,"outputTokens":0},"native":{"stop_sequence":"END"}}"#
        ]],
    );
}

fn check_embed(model: &str, answer: Json, expected: Expect) {
    let call = EmbedCall {
        model: model.to_owned(),
        texts: vec!["a".to_owned(), "b".to_owned()],
        dimensions: Some(2),
        role: EmbedRole::Query,
        normalize: true,
    };
    let said = embed::Family::of(model).map(|family| {
        let bodies: Vec<String> = family.bodies(&call).iter().map(Json::to_string).collect();
        let read = family.read(&HeaderMap::new(), &answer, call.normalize);
        format!("{}\n{read:?}", bodies.join("\n"))
    });
    expected.assert_eq(&said.unwrap_or_default());
}

#[test]
fn texts_are_embedded_by_the_body_of_the_models_family() {
    let titan = json!({ "embedding": [3.0, 4.0], "inputTextTokenCount": 2 });
    check_embed(
        "amazon.titan-embed-text-v2:0",
        titan.clone(),
        expect![[r#"
        {"dimensions":2,"inputText":"a","normalize":true}
        {"dimensions":2,"inputText":"b","normalize":true}
        Ok(Embedded { vectors: [[0.6, 0.8]], input_tokens: 2 })"#]],
    );
    check_embed(
        "amazon.titan-embed-text-v1",
        titan,
        expect![[r#"
        {"inputText":"a"}
        {"inputText":"b"}
        Ok(Embedded { vectors: [[0.6, 0.8]], input_tokens: 2 })"#]],
    );
    let cohere = json!({ "embeddings": { "float": [[1.0, 0.0], [0.0, 1.0]] } });
    check_embed(
        "eu.cohere.embed-v4:0",
        cohere,
        expect![[r#"
        {"embedding_types":["float"],"input_type":"search_query","output_dimension":2,"texts":["a","b"]}
        Ok(Embedded { vectors: [[1.0, 0.0], [0.0, 1.0]], input_tokens: 0 })"#]],
    );
    check_embed(
        "cohere.embed-english-v3",
        json!({ "embeddings": [[0.0, "x"]] }),
        expect![[r#"
        {"embedding_types":["float"],"input_type":"search_query","output_dimension":2,"texts":["a","b"]}
        Err("the answer's embeddings cannot be read: invalid type: string \"x\", expected f32")"#]],
    );
    check_embed("anthropic.claude", json!({}), expect![""]);
}

#[test]
fn credentials_come_from_one_place() {
    let open = |toml: &str| {
        let config: Config = toml::from_str(toml).unwrap();
        let client = net::Client::new(net::Config::default());
        Bedrock::open("aws", config, client).map(|_| ()).map_err(|error| error.to_string())
    };
    let region = "region = \"us-east-1\"\n";
    assert_eq!(open(&format!("{region}api_key = \"env:K\"")), Ok(()));
    assert_eq!(open(&format!("{region}access_key = \"env:A\"\nsecret_key = \"env:S\"")), Ok(()));
    let both = "api_key = \"env:K\"\naccess_key = \"env:A\"\nsecret_key = \"env:S\"";
    expect!["[providers.aws] has api_key and access_key; keep one of them (CR0008)"]
        .assert_eq(&open(&format!("{region}{both}")).unwrap_err());
    expect!["[providers.aws] needs access_key and secret_key together (CR0008)"]
        .assert_eq(&open(&format!("{region}access_key = \"env:A\"")).unwrap_err());
    expect![[
        r#"[providers.aws] has no region; write region = "us-east-1" or set AWS_REGION (CR0008)"#
    ]]
    .assert_eq(&open("region = \"us east\"").unwrap_err());
}
