use llm::Step;
use serde_json::{Value as Json, json};

use crate::testing::{call, cx, done, refused};

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
    let answer = done(&cx, "Converse", json!({"modelId": "m", "messages": messages})).await;
    let expected = json!({
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
        "metrics": {"latencyMs": 1000},
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

#[tokio::test]
async fn an_object_in_s3_is_refused_by_name() {
    let source = json!({"s3Location": {"uri": "s3://bucket/key"}});
    let image = json!([{"image": {"format": "png", "source": source}}]);
    let cx = cx([]).await;
    assert_eq!(
        refused(&cx, "Converse", asked(&json!([said("user", &image)]))).await,
        "ValidationException: craton does not support value 's3://bucket/key' at \
         'messages.0.content.0.image.source.s3Location' yet: objects in S3; send the bytes"
    );
}
