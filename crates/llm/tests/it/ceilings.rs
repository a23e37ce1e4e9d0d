//! What goes out under a ceiling asks for no more, whichever words a call or the map has for it.

use std::fmt::Write as _;

use expect_test::expect;
use llm::{Config, Models};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wire::converse::Call;

/// What of a request says how long its answer may be.
const TOLD: [&str; 12] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "thinking",
    "reasoning",
    "reasoning_effort",
    "options",
    "generationConfig",
    "inferenceConfig",
    "additionalModelRequestFields",
    "temperature",
];

/// The body of one request, which is refused.
async fn heard(listener: TcpListener) -> Json {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        socket.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split_once("content-length:").map_or("0", |(_, rest)| rest);
        let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
        let body = bytes.get(head.len() + 4..head.len() + 4 + length);
        if let Some(body) = body {
            let refusal =
                b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            socket.write_all(refusal).await.unwrap();
            return serde_json::from_slice(body).unwrap();
        }
    }
}

/// What a provider of a kind is sent, where the map has some fields and the call others.
async fn sent(kind: &str, map: &Json, (fields, ceiling): (&Json, Option<u32>)) -> Json {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut provider = json!({ "kind": kind, "base_url": address });
    if kind == "bedrock" {
        provider["region"] = json!("us-east-1");
        provider["api_key"] = json!("env:PATH");
    }
    let rule = json!({ "match": "*", "provider": "x", "request_fields": map });
    let config = json!({ "providers": { "x": provider }, "models": [rule] });
    let config: Config = serde_json::from_value(config).unwrap();
    let models = Models::open(config, net::Client::new(net::Config::default())).unwrap();
    let call = json!({ "model": "m", "additional": fields, "messages": [
        { "role": "user", "content": [{ "text": "hi" }] }] });
    let mut call: Call = serde_json::from_value(call).unwrap();
    call.inference.max_tokens = ceiling;
    call.options.ceiling = ceiling;
    let listening = tokio::spawn(heard(listener));
    assert!(models.resolve("m").unwrap().converse(&mut call).await.is_err());
    let mut body = listening.await.unwrap();
    body.as_object_mut().unwrap().retain(|name, _| TOLD.contains(&name.as_str()));
    body
}

#[tokio::test]
async fn nothing_that_goes_out_asks_for_more_than_its_ceiling() {
    let think = json!({ "thinking": { "type": "enabled", "budget_tokens": 4096 } });
    let none = json!({});
    let mut told = String::new();
    for (kind, map, fields) in [
        // Thinking that fits stays, what does not is cut, and what is too little for it is left out.
        ("anthropic", &think, &none),
        ("anthropic", &none, &json!({ "max_tokens": 64_000, "thinking": think["thinking"] })),
        ("anthropic", &none, &json!({ "max_tokens": 10, "thinking": think["thinking"] })),
        ("anthropic", &none, &json!({ "thinking": { "type": "adaptive" } })),
        ("openai", &none, &json!({ "max_completion_tokens": 9e9, "n": 4, "best_of": 4 })),
        ("openai", &none, &json!({ "max_tokens": null, "reasoning_effort": "high" })),
        ("openai", &json!({ "options": { "num_predict": -1 } }), &json!({ "n": 1 })),
        ("openai", &none, &json!({ "reasoning": { "max_tokens": 8000 } })),
        (
            "responses",
            &none,
            &json!({ "max_output_tokens": "many", "reasoning": { "effort": "high" } }),
        ),
        ("gemini", &none, &json!({ "maxOutputTokens": 9000, "candidateCount": 8 })),
        ("gemini", &json!({ "thinkingConfig": { "thinkingBudget": 24_000 } }), &none),
        (
            "gemini",
            &none,
            &json!({ "generationConfig": { "max_output_tokens": 9000, "candidate_count": 2,
            "thinkingConfig": { "thinkingBudget": -1 } } }),
        ),
        ("bedrock", &think, &none),
        ("bedrock", &none, &json!({ "inferenceConfig": { "maxTokens": 9000, "topK": 3 } })),
        (
            "bedrock",
            &none,
            &json!({ "reasoningConfig": { "type": "enabled", "maxReasoningEffort": "high" } }),
        ),
    ] {
        writeln!(told, "{kind} {map} {fields}").unwrap();
        for ceiling in [5000, 3000, 600] {
            let body = sent(kind, map, (fields, Some(ceiling))).await;
            writeln!(told, "  {ceiling}: {body}").unwrap();
        }
    }
    expect![[r#"
        anthropic {"thinking":{"budget_tokens":4096,"type":"enabled"}} {}
          5000: {"max_tokens":5000,"thinking":{"budget_tokens":4096,"type":"enabled"}}
          3000: {"max_tokens":3000,"thinking":{"budget_tokens":2250,"type":"enabled"}}
          600: {"max_tokens":600}
        anthropic {} {"max_tokens":64000,"thinking":{"budget_tokens":4096,"type":"enabled"}}
          5000: {"max_tokens":5000,"thinking":{"budget_tokens":4096,"type":"enabled"}}
          3000: {"max_tokens":3000,"thinking":{"budget_tokens":2250,"type":"enabled"}}
          600: {"max_tokens":600}
        anthropic {} {"max_tokens":10,"thinking":{"budget_tokens":4096,"type":"enabled"}}
          5000: {"max_tokens":10}
          3000: {"max_tokens":10}
          600: {"max_tokens":10}
        anthropic {} {"thinking":{"type":"adaptive"}}
          5000: {"max_tokens":5000,"thinking":{"type":"adaptive"}}
          3000: {"max_tokens":3000,"thinking":{"type":"adaptive"}}
          600: {"max_tokens":600,"thinking":{"type":"adaptive"}}
        openai {} {"best_of":4,"max_completion_tokens":9000000000.0,"n":4}
          5000: {"max_tokens":5000,"n":1}
          3000: {"max_tokens":3000,"n":1}
          600: {"max_tokens":600,"n":1}
        openai {} {"max_tokens":null,"reasoning_effort":"high"}
          5000: {"max_tokens":5000,"reasoning_effort":"high"}
          3000: {"max_tokens":3000,"reasoning_effort":"high"}
          600: {"max_tokens":600,"reasoning_effort":"high"}
        openai {"options":{"num_predict":-1}} {"n":1}
          5000: {"max_tokens":5000,"n":1,"options":{}}
          3000: {"max_tokens":3000,"n":1,"options":{}}
          600: {"max_tokens":600,"n":1,"options":{}}
        openai {} {"reasoning":{"max_tokens":8000}}
          5000: {"max_tokens":5000,"reasoning":{"max_tokens":3750}}
          3000: {"max_tokens":3000,"reasoning":{"max_tokens":2250}}
          600: {"max_tokens":600}
        responses {} {"max_output_tokens":"many","reasoning":{"effort":"high"}}
          5000: {"max_output_tokens":5000,"reasoning":{"effort":"high"}}
          3000: {"max_output_tokens":3000,"reasoning":{"effort":"high"}}
          600: {"max_output_tokens":600,"reasoning":{"effort":"high"}}
        gemini {} {"candidateCount":8,"maxOutputTokens":9000}
          5000: {"generationConfig":{"candidateCount":1,"maxOutputTokens":5000}}
          3000: {"generationConfig":{"candidateCount":1,"maxOutputTokens":3000}}
          600: {"generationConfig":{"candidateCount":1,"maxOutputTokens":600}}
        gemini {"thinkingConfig":{"thinkingBudget":24000}} {}
          5000: {"generationConfig":{"maxOutputTokens":5000,"thinkingConfig":{"thinkingBudget":3750}}}
          3000: {"generationConfig":{"maxOutputTokens":3000,"thinkingConfig":{"thinkingBudget":2250}}}
          600: {"generationConfig":{"maxOutputTokens":600,"thinkingConfig":{}}}
        gemini {} {"generationConfig":{"candidate_count":2,"max_output_tokens":9000,"thinkingConfig":{"thinkingBudget":-1}}}
          5000: {"generationConfig":{"candidate_count":1,"maxOutputTokens":5000,"thinkingConfig":{"thinkingBudget":-1}}}
          3000: {"generationConfig":{"candidate_count":1,"maxOutputTokens":3000,"thinkingConfig":{"thinkingBudget":-1}}}
          600: {"generationConfig":{"candidate_count":1,"maxOutputTokens":600,"thinkingConfig":{"thinkingBudget":-1}}}
        bedrock {"thinking":{"budget_tokens":4096,"type":"enabled"}} {}
          5000: {"additionalModelRequestFields":{"thinking":{"budget_tokens":4096,"type":"enabled"}},"inferenceConfig":{"maxTokens":5000}}
          3000: {"additionalModelRequestFields":{"thinking":{"budget_tokens":2250,"type":"enabled"}},"inferenceConfig":{"maxTokens":3000}}
          600: {"additionalModelRequestFields":{},"inferenceConfig":{"maxTokens":600}}
        bedrock {} {"inferenceConfig":{"maxTokens":9000,"topK":3}}
          5000: {"additionalModelRequestFields":{"inferenceConfig":{"topK":3}},"inferenceConfig":{"maxTokens":5000}}
          3000: {"additionalModelRequestFields":{"inferenceConfig":{"topK":3}},"inferenceConfig":{"maxTokens":3000}}
          600: {"additionalModelRequestFields":{"inferenceConfig":{"topK":3}},"inferenceConfig":{"maxTokens":600}}
        bedrock {} {"reasoningConfig":{"maxReasoningEffort":"high","type":"enabled"}}
          5000: {"additionalModelRequestFields":{"reasoningConfig":{"maxReasoningEffort":"medium","type":"enabled"}},"inferenceConfig":{"maxTokens":5000}}
          3000: {"additionalModelRequestFields":{"reasoningConfig":{"maxReasoningEffort":"medium","type":"enabled"}},"inferenceConfig":{"maxTokens":3000}}
          600: {"additionalModelRequestFields":{"reasoningConfig":{"maxReasoningEffort":"medium","type":"enabled"}},"inferenceConfig":{"maxTokens":600}}
    "#]].assert_eq(&told);
}

#[tokio::test]
async fn without_a_ceiling_the_native_words_of_a_call_hold() {
    let fields = json!({ "max_tokens": 64_000, "n": 3,
                         "thinking": { "type": "enabled", "budget_tokens": 60_000 } });
    for kind in ["openai", "anthropic"] {
        assert_eq!(sent(kind, &json!({}), (&fields, None)).await, fields, "{kind}");
    }
}
