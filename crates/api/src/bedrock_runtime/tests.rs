//! Converse and ConverseStream over a scripted model: what is checked before it is asked, and what
//! becomes of its answer.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use llm::Step;
use serde_json::{Value as Json, json};
use wire::value::Value;

use crate::Cx;
use crate::testing::{AllBut, call, call_with, cx, done, refused};

fn said(role: &str, content: &Json) -> Json {
    json!({"role": role, "content": content})
}

fn asked(messages: &Json) -> Json {
    let tool = json!({"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}});
    json!({"modelId": "m", "messages": messages, "toolConfig": {"tools": [tool]}})
}

#[tokio::test]
async fn a_whole_answer_has_message_reason_usage_and_time() {
    let cx = cx([Step::text("Hello.").usage(3, 4)]).await;
    let messages = json!([said("user", &json!([{"text": "hi"}]))]);
    let mut answer = done(&cx, "Converse", json!({"modelId": "m", "messages": messages})).await;
    // The clock moves on by a second whenever anybody reads it.
    let latency = answer["metrics"]["latencyMs"].take();
    assert!(latency.as_i64().unwrap() >= 1_000, "{latency}");
    let expected = json!({
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
        "metrics": {"latencyMs": null},
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_stream_starts_tool_uses_but_not_texts_and_ends_with_its_metadata() {
    let cx = cx([Step::tool("look", json!({"a": 1})).usage(1, 2)]).await;
    let input = asked(&json!([said("user", &json!([{"text": "hi"}]))]));
    let (_, events) = call(&cx, "ConverseStream", input).await.unwrap();
    let names: Vec<_> = events.iter().map(|e| e.as_object().unwrap().keys().next()).collect();
    let names: Vec<_> = names.into_iter().flatten().collect();
    assert_eq!(names.first().unwrap(), &"messageStart");
    assert_eq!(names[1], "contentBlockStart");
    assert!(names[2..names.len() - 3].iter().all(|name| *name == "contentBlockDelta"), "{names:?}");
    assert_eq!(names[names.len() - 3..], ["contentBlockStop", "messageStop", "metadata"]);
}

#[tokio::test]
async fn a_conversation_that_makes_no_sense_is_refused_in_the_words_of_aws() {
    let text = json!([{"text": "hi"}]);
    let uses = json!([{"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}}]);
    let result = |id: &str| json!([{"toolResult": {"toolUseId": id, "content": [{"text": "x"}]}}]);
    let (user, bot) = ("user", "assistant");
    let table = [
        (json!([said(bot, &text)]), "must start with a user message"),
        (json!([said(user, &text), said(user, &text)]), "must alternate between"),
        (json!([said(user, &json!([]))]), "at messages.0 is empty"),
        (json!([said(user, &json!([{"text": " "}]))]), "at messages.0.content.0 is blank"),
        (json!([said(user, &result("t1"))]), "messages.0.content exceeds the number of toolUse"),
        (
            json!([said(user, &text), said(bot, &uses), said(user, &text)]),
            "Expected toolResult blocks at messages.2.content for the following Ids: t1",
        ),
        (
            json!([said(user, &text), said(bot, &uses), said(user, &result("t2"))]),
            "messages.2.content exceeds the number of toolUse",
        ),
    ];
    let cx = cx([Step::text("first"), Step::text("after the tool")]).await;
    for (messages, expected) in table {
        let fault = refused(&cx, "Converse", asked(&messages)).await;
        assert!(fault.starts_with("ValidationException") && fault.contains(expected), "{fault}");
    }
    let mut bare = asked(&json!([said(user, &text), said(bot, &uses), said(user, &result("t1"))]));
    assert!(call(&cx, "Converse", bare.clone()).await.is_ok());
    bare.as_object_mut().unwrap().remove("toolConfig");
    let fault = refused(&cx, "Converse", bare).await;
    assert!(fault.contains("toolConfig field must be defined"), "{fault}");
}

/// What Converse answers to these user blocks: its refusal, or nothing.
async fn verdict(cx: &Cx, role: &str, content: Json) -> String {
    let mut messages = vec![said(role, &content)];
    if role == "assistant" {
        messages.insert(0, said("user", &json!([{"text": "hi"}])));
    }
    let input = with_blobs(Value::from(asked(&json!(messages))));
    call_with(cx, "Converse", input).await.err().unwrap_or_default()
}

/// Bytes as the wire's codec leaves them.
fn with_blobs(value: Value) -> Value {
    let member = |(name, value): (String, Value)| match value {
        Value::String(text) if name == "bytes" => {
            (name, Value::Blob(BASE64_STANDARD.decode(text).unwrap().into()))
        }
        other => (name, with_blobs(other)),
    };
    match value {
        Value::Map(members) => Value::Map(members.into_iter().map(member).collect()),
        Value::List(items) => Value::List(items.into_iter().map(with_blobs).collect()),
        other => other,
    }
}

fn document(name: &str) -> Json {
    json!({"document": {"format": "txt", "name": name, "source": {"text": "words"}}})
}

/// A picture without pixels: as many bytes, and a header that gives its width.
fn picture(bytes: usize, width: u32) -> Json {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(width.to_be_bytes());
    png.extend([0, 0, 0, 1, 8, 2, 0, 0, 0]);
    png.resize(bytes.max(png.len()), 0);
    json!({"image": {"format": "png", "source": {"bytes": BASE64_STANDARD.encode(png)}}})
}

fn said_to_be(format: &str, mut picture: Json) -> Json {
    picture["image"]["format"] = json!(format);
    picture
}

fn guarded(picture: &Json) -> Json {
    json!({ "guardContent": picture })
}

const MISLABELLED: &str = "The model returned the following errors: \
                           messages.0.content.1.image.source.bytes: The image was specified using \
                           the image/jpeg media type, but the image appears to be a image/png image";

#[tokio::test]
async fn images_and_documents_are_held_to_the_limits_of_aws_and_the_block_is_named() {
    let cx = cx(std::iter::repeat_n(Step::text("seen"), 9)).await;
    let text = json!({"text": "look"});
    let with = |blocks: Vec<Json>| Json::Array([vec![text.clone()], blocks].concat());
    let papers = |count| (0..count).map(|n| document(&format!("paper {n}"))).collect::<Vec<_>>();
    let table = [
        ("user", with(vec![picture(3_932_160, 8_000)]), ""),
        (
            "user",
            with(vec![picture(3_932_161, 1)]),
            "content.1.image has 3932161 bytes, more than the 3932160 that m is",
        ),
        (
            "user",
            with(vec![picture(1, 8_001)]),
            "content.1.image is 8001 by 1 pixels; m is given at most 8000",
        ),
        ("user", with(vec![picture(1, 1); 20]), ""),
        ("user", with(vec![said_to_be("jpeg", picture(1, 1))]), MISLABELLED),
        ("user", with(vec![guarded(&picture(1, 1))]), ""),
        ("user", with(vec![guarded(&picture(1, 8_001))]), "guardContent.image is 8001 by 1 pixels"),
        (
            "user",
            with(vec![guarded(&picture(3_932_161, 1))]),
            "guardContent.image has 3932161 bytes",
        ),
        (
            "user",
            with(vec![guarded(&said_to_be("jpeg", picture(1, 1)))]),
            "appears to be a image/png",
        ),
        ("user", with(vec![guarded(&picture(1, 1)); 21]), "has 21 image blocks, more than the 20"),
        ("assistant", with(vec![guarded(&picture(1, 1))]), "messages.1.content has images or"),
        (
            "user",
            with(vec![picture(1, 1); 21]),
            "has 21 image blocks, more than the 20 of a message to m",
        ),
        ("user", with(papers(5)), ""),
        ("user", with(papers(6)), "You can't include more than 5 documents in a request."),
        ("user", with(vec![document("a (1) [2]-3_4")]), ""),
        ("user", with(vec![document("a.txt")]), "can only contain alphanumeric characters"),
        ("user", with(vec![document("a  b")]), "can only contain alphanumeric characters"),
        ("user", with(vec![document("a"), document("a")]), "duplicate document names"),
        ("user", json!([document("a")]), "has a document block and no text block"),
        ("assistant", with(vec![picture(1, 1)]), "messages.1.content has images or documents"),
    ];
    for (role, content, expected) in table {
        let said = verdict(&cx, role, content).await;
        let fits = if expected.is_empty() { said.is_empty() } else { said.contains(expected) };
        assert!(fits, "{expected:?}: {said}");
        assert!(said.is_empty() || said.starts_with("ValidationException"), "{said}");
    }
}

#[tokio::test]
async fn a_block_that_no_provider_carries_or_of_the_wrong_role_is_refused_by_its_place() {
    let cx = cx([]).await;
    let tool = json!({"tool": {"name": "look"}});
    let used = json!({"toolUseId": "t", "name": "look", "input": {}, "type": "server_tool_use"});
    let s3 = json!({"format": "png", "source": {"s3Location": {"uri": "s3://bucket/key"}}});
    let foreign = json!({"s3Location": {"uri": "s3://bucket/key", "bucketOwner": "999999999999"}});
    let thought = json!({"reasoningText": {"text": "hm"}});
    let table = [
        ("user", json!({"toolAddition": tool}), "'messages.0.content.0.toolAddition' yet"),
        ("user", json!({"toolRemoval": tool}), "'messages.0.content.0.toolRemoval' yet"),
        ("assistant", json!({"toolUse": used}), "'messages.1.content.0.toolUse.type' yet"),
        ("user", json!({"reasoningContent": thought}), "content.0 is a reasoningContent block"),
        ("system", json!({"text": "x"}), "value 'system' at 'messages.0.role' yet"),
        (
            "user",
            json!({"image": s3}),
            "'messages.0.content.0.image.source.s3Location' cannot be read: the bucket bucket is \
             not mapped",
        ),
        (
            "user",
            json!({"video": {"format": "mp4", "source": foreign}}),
            "s3://bucket/key is no bucket of account 999999999999",
        ),
    ];
    for (role, block, expected) in table {
        let said = verdict(&cx, role, json!([block])).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn an_object_in_s3_is_read_only_by_who_may_read_it() {
    let mut cx = cx([]).await;
    cx.permissions = Arc::new(AllBut("s3:GetObject"));
    let s3 = json!({"format": "mp3", "source": {"s3Location": {"uri": "s3://bucket/a/key"}}});
    let said = verdict(&cx, "user", json!([{"audio": s3}])).await;
    assert_eq!(said, "AccessDeniedException: no s3:GetObject on arn:aws:s3:::bucket/a/key");
}

#[tokio::test]
async fn tools_that_no_model_could_tell_apart_or_fill_are_refused() {
    let cx = cx([]).await;
    let spec = |name: &str, schema: Json| json!({"toolSpec": {"name": name, "inputSchema": {"json": schema}}});
    let object = || json!({"type": "object"});
    let table = [
        (json!([spec("a", object()), spec("a", object())]), "two tools named 'a'"),
        (json!([spec("a", json!({}))]), "tools.0.toolSpec.inputSchema.json.type must be one of"),
        (json!([spec("a", json!("x"))]), "Provide a json object for the field"),
        (json!([{"systemTool": {"name": "nova_grounding"}}]), "value 'nova_grounding'"),
    ];
    for (tools, expected) in table {
        let input = json!({"modelId": "m", "toolConfig": {"tools": tools},
                           "messages": [said("user", &json!([{"text": "x"}]))]});
        let fault = refused(&cx, "Converse", input).await;
        assert!(fault.contains(expected), "{expected}: {fault}");
    }
}

#[tokio::test]
async fn what_the_provider_carries_of_tier_and_latency_stands_in_the_answer() {
    let cx = cx([Step::text("one"), Step::text("two")]).await;
    let input = json!({
        "modelId": "m", "messages": [said("user", &json!([{"text": "x"}]))],
        "serviceTier": {"type": "default"}, "performanceConfig": {"latency": "standard"},
        "requestMetadata": {"team": "shop"},
    });
    let (tier, performance) = (json!({"type": "default"}), json!({"latency": "standard"}));
    let answer = done(&cx, "Converse", input.clone()).await;
    assert_eq!((&answer["serviceTier"], &answer["performanceConfig"]), (&tier, &performance));
    let (_, events) = call(&cx, "ConverseStream", input).await.unwrap();
    let metadata = &events.last().unwrap()["metadata"];
    assert_eq!((&metadata["serviceTier"], &metadata["performanceConfig"]), (&tier, &performance));
}

/// What a model is asked for by a prompt, as far as the answer shows it.
async fn prompted(
    cx: &Cx,
    operation: &str,
    variant: Json,
    version: &str,
    extra: &Json,
) -> Result<Json, String> {
    let made =
        done(cx, "CreatePrompt", json!({"name": cx.engine.fresh_id(), "variants": [variant]}))
            .await;
    let id = made["id"].as_str().unwrap();
    done(cx, "CreatePromptVersion", json!({"promptIdentifier": id})).await;
    let mut input = json!({"modelId": format!("{}{version}", made["arn"].as_str().unwrap())});
    input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    call(cx, operation, input).await.map(|(answer, _)| answer["output"]["message"].clone())
}

fn greeting() -> Json {
    json!({"name": "v", "modelId": "m", "templateType": "TEXT", "templateConfiguration": {
        "text": {"text": "Greet {{name}} in {{tongue}}.", "inputVariables": [{"name": "name"}]}}})
}

#[tokio::test]
async fn a_prompt_asks_its_own_model_and_says_what_it_lacks() {
    let cx = cx([Step::text("Hei!")]).await;
    let name = json!({"name": {"text": "{{tongue}}"}, "tongue": {"text": "Norwegian"}});
    let all = json!({ "promptVariables": name });
    let answer = prompted(&cx, "Converse", greeting(), ":1", &all).await.unwrap();
    assert_eq!(answer["content"], json!([{"text": "Hei!"}]));
    let with = |field: &str, value: Json| {
        let mut extra = all.clone();
        extra[field] = value;
        extra
    };
    let mut unmodelled = greeting();
    unmodelled.as_object_mut().unwrap().remove("modelId");
    let table = [
        (greeting(), "", json!({}), "promptVariables has no value for name, tongue of prompt arn:"),
        (greeting(), ":2", all.clone(), "ResourceNotFoundException"),
        (
            greeting(),
            "",
            with("system", json!([{"text": "x"}])),
            "'system' cannot come with a prompt",
        ),
        (greeting(), "", with("inferenceConfig", json!({"topP": 0.1})), "'inferenceConfig' cannot"),
        (
            greeting(),
            "",
            with("toolConfig", json!({"tools": [{"cachePoint": {"type": "default"}}]})),
            "'toolConfig' cannot",
        ),
        (greeting(), "", with("additionalModelRequestFields", json!({"k": 1})), "Fields' cannot"),
        (unmodelled, "", all.clone(), "names no model in its variant"),
    ];
    for (variant, version, extra, expected) in table {
        let fault = prompted(&cx, "Converse", variant, version, &extra).await.unwrap_err();
        assert!(fault.contains(expected), "{expected}: {fault}");
    }
    let plain = json!({"modelId": "m", "messages": [said("user", &json!([{"text": "x"}]))],
                       "promptVariables": name});
    let fault = refused(&cx, "Converse", plain).await;
    assert!(fault.contains("promptVariables are for a modelId that is the ARN"), "{fault}");
}

#[tokio::test]
async fn who_may_not_render_a_prompt_or_ask_its_model_gets_no_answer_by_it() {
    let mut cx = cx([]).await;
    let extra = json!({"promptVariables": {"name": {"text": "x"}, "tongue": {"text": "y"}}});
    let (prompt, model) = (
        "arn:aws:bedrock:us-east-1:123456789012:prompt/",
        "arn:aws:bedrock:us-east-1::foundation-model/m",
    );
    for (operation, action, on) in [
        ("Converse", "bedrock:RenderPrompt", prompt),
        ("ConverseStream", "bedrock:RenderPrompt", prompt),
        ("Converse", "bedrock:InvokeModel", model),
        ("ConverseStream", "bedrock:InvokeModelWithResponseStream", model),
    ] {
        cx.permissions = Arc::new(AllBut(action));
        let fault = prompted(&cx, operation, greeting(), "", &extra).await.unwrap_err();
        assert!(
            fault.starts_with(&format!("AccessDeniedException: no {action} on {on}")),
            "{fault}"
        );
    }
}
