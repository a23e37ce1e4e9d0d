#![allow(clippy::needless_pass_by_value, reason = "literals read best in place")]

use super::*;
use crate::embed::{EmbedRole, Truncate};
use expect_test::{Expect, expect};
use serde_json::json;

#[test]
fn tokens_are_counted_without_settings_or_points_that_nobody_asked_for() {
    let given = json!({
        "model": "anthropic.claude-sonnet-4-20250514-v1:0", "system": ["x".repeat(9000)],
        "messages": [{ "role": "user", "content": [{ "text": "hi" }] }],
        "inference": { "topP": 0.1 }, "additional": { "top_k": 5 },
    });
    let counted = request::counted(&serde_json::from_value(given).unwrap()).unwrap().to_string();
    expect![[r#"{"input":{"converse":{"additionalModelRequestFields":{"top_k":5},"messages":[{"content":[{"text":"hi"}],"role":"user"}],"system":[{"text":"…"}]}}}"#]].assert_eq(&counted.replace(&"x".repeat(9000), "…"));
}

#[test]
fn one_tool_use_at_a_time_is_a_member_of_claude_and_refused_elsewhere() {
    let said = |model: &str| {
        let given = json!({
            "model": model, "toolChoice": "any", "options": { "oneToolUse": true },
            "tools": [{ "name": "f", "description": "", "schema": { "type": "object" } }],
            "messages": [{ "role": "user", "content": [{ "text": "hi" }] }],
        });
        let call = serde_json::from_value(given).unwrap();
        request::body(&call, CacheMode::Off).map_or_else(|refused| refused, |body| body.to_string())
    };
    expect![[r#"{"additionalModelRequestFields":{"tool_choice":{"disable_parallel_tool_use":true,"type":"any"}},"messages":[{"content":[{"text":"hi"}],"role":"user"}],"toolConfig":{"tools":[{"toolSpec":{"inputSchema":{"json":{"type":"object"}},"name":"f"}}]}}"#]].assert_eq(&said("us.anthropic.claude-sonnet-4-5-20250929-v1:0"));
    expect!["disable_parallel_tool_use, or parallel_tool_calls: only Claude knows it there"]
        .assert_eq(&said("amazon.nova-pro-v1:0"));
}

fn check_embed(model: &str, answer: Json, expected: Expect) {
    let call = EmbedCall {
        model: model.to_owned(),
        texts: vec!["a".to_owned(), "b".to_owned()],
        dimensions: Some(2),
        role: EmbedRole::Query,
        normalize: true,
        truncate: Some(Truncate::Start),
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
            {"embedding_types":["float"],"input_type":"search_query","output_dimension":2,"texts":["a","b"],"truncate":"LEFT"}
            Ok(Embedded { vectors: [[1.0, 0.0], [0.0, 1.0]], input_tokens: 0 })"#]],
    );
    check_embed(
        "cohere.embed-english-v3",
        json!({ "embeddings": [[0.0, "x"]] }),
        expect![[r#"
            {"embedding_types":["float"],"input_type":"search_query","output_dimension":2,"texts":["a","b"],"truncate":"START"}
            Err("the answer's embeddings cannot be read: invalid type: string \"x\", expected f32")"#]],
    );
    check_embed("anthropic.claude", json!({}), expect![""]);
}

#[test]
fn credentials_come_from_one_place() {
    let open = |toml: &str| {
        let config: Config = toml::from_str(toml).unwrap();
        let client = net::Client::new(net::Config::default());
        Bedrock::open("aws", config, CacheMode::Auto, client)
            .map(|_| ())
            .map_err(|error| error.to_string())
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
