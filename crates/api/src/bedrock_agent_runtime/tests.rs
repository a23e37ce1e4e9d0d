use engine::record::Pinned;
use serde_json::{Value as Json, json};

use crate::Cx;
use crate::bedrock_agent::document::tenant;
use crate::testing::{call, cx, refused};

fn described(tool: &str) -> Json {
    json!({
        "sessionId": "s1", "foundationModel": "anthropic.claude-3", "inputText": "hi",
        "instruction": "You help customers with their orders, politely and shortly.",
        "actionGroups": [{
            "actionGroupName": "orders", "actionGroupExecutor": {"customControl": "RETURN_CONTROL"},
            "functionSchema": {"functions": [{"name": tool}]},
        }],
    })
}

async fn kept(cx: &Cx) -> Vec<String> {
    let rows = cx.engine.store().list::<Pinned>(&tenant(cx), "", None, 10).await.unwrap();
    rows.into_iter().map(|(digest, _)| digest).collect()
}

#[tokio::test]
async fn an_inline_agent_is_kept_once_however_often_it_comes() {
    let cx = cx([llm::Step::text("<answer>hello</answer>")]).await;
    for _ in 0..2 {
        let (head, events) = call(&cx, "InvokeInlineAgent", described("find")).await.unwrap();
        assert_eq!((&head["sessionId"], events.len()), (&json!("s1"), 1));
    }
    let first = kept(&cx).await;
    assert_eq!(first.len(), 1);
    call(&cx, "InvokeInlineAgent", described("search")).await.unwrap();
    let both = kept(&cx).await;
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");
}

#[tokio::test]
async fn an_inline_agent_that_is_refused_is_not_kept() {
    let cx = cx([]).await;
    let mut asked = described("find");
    asked["inlineSessionState"] = json!({"returnControlInvocationResults": [
        {"functionResult": {"actionGroup": "orders", "function": "find"}}]});
    assert!(refused(&cx, "InvokeInlineAgent", asked).await.contains("invocationId"));
    let mut asked = described("find");
    asked["actionGroups"][0]["functionSchema"]["functions"] = json!([{"name": "f"}, {"name": "f"}]);
    assert!(refused(&cx, "InvokeInlineAgent", asked).await.starts_with("ValidationException"));
    assert_eq!(kept(&cx).await, Vec::<String>::new());
}
