use std::sync::Arc;

use engine::record::Pinned;
use expect_test::expect;
use serde_json::{Value as Json, json};

use crate::Cx;
use crate::bedrock_agent::document::tenant;
use crate::testing::{AllBut, call, cx, refused};

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

/// What a caller hears who may do all but `action`.
async fn without(action: &'static str, name: &str, input: Json) -> String {
    let mut cx = cx([]).await;
    cx.permissions = Arc::new(AllBut(action));
    let told = refused(&cx, name, input).await;
    assert_eq!(kept(&cx).await, Vec::<String>::new());
    told
}

#[tokio::test]
async fn an_inline_agent_has_only_what_its_caller_may_use() {
    let function = |name: &str| format!("arn:aws:lambda:us-east-1:123456789012:function:{name}");
    let described = || described("find");
    let told = without("bedrock:InvokeModel", "InvokeInlineAgent", described()).await;
    expect!["AccessDeniedException: no bedrock:InvokeModel on arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3"].assert_eq(&told);

    let mut asked = described();
    asked["promptOverrideConfiguration"] = json!({"promptConfigurations": [
        {"promptType": "ORCHESTRATION", "foundationModel": "cohere.command-r"}]});
    let told = without("bedrock:InvokeModel", "InvokeInlineAgent", asked).await;
    expect!["AccessDeniedException: no bedrock:InvokeModel on arn:aws:bedrock:us-east-1::foundation-model/cohere.command-r"].assert_eq(&told);

    let mut asked = described();
    asked["actionGroups"][0]["actionGroupExecutor"] = json!({"lambda": function("pay")});
    let told = without("lambda:InvokeFunction", "InvokeInlineAgent", asked).await;
    expect!["AccessDeniedException: no lambda:InvokeFunction on arn:aws:lambda:us-east-1:123456789012:function:pay"].assert_eq(&told);

    let mut asked = described();
    asked["promptOverrideConfiguration"] = json!({
        "overrideLambda": function("parse"),
        "promptConfigurations": [{"promptType": "ORCHESTRATION", "parserMode": "OVERRIDDEN"}]});
    let told = without("lambda:InvokeFunction", "InvokeInlineAgent", asked).await;
    expect!["AccessDeniedException: no lambda:InvokeFunction on arn:aws:lambda:us-east-1:123456789012:function:parse"].assert_eq(&told);

    let mut asked = described();
    let alias = "arn:aws:bedrock:us-east-1:123456789012:agent-alias/AGENT12345/ALIAS12345";
    asked["agentCollaboration"] = json!("SUPERVISOR");
    asked["collaboratorConfigurations"] = json!([{
        "collaboratorName": "clerk", "collaboratorInstruction": "Ask it for bills.",
        "agentAliasArn": alias}]);
    let told = without("bedrock:InvokeAgent", "InvokeInlineAgent", asked).await;
    expect!["AccessDeniedException: no bedrock:InvokeAgent on arn:aws:bedrock:us-east-1:123456789012:agent-alias/AGENT12345/ALIAS12345"].assert_eq(&told);

    // Of a collaborator as of the agent that asks it.
    let mut asked = described();
    let mut member = asked.clone();
    asked["agentCollaboration"] = json!("SUPERVISOR");
    asked["collaboratorConfigurations"] = json!([{
        "collaboratorName": "clerk", "collaboratorInstruction": "Ask it for bills."}]);
    member["agentName"] = json!("clerk");
    member["actionGroups"][0]["actionGroupExecutor"] = json!({"lambda": function("bill")});
    asked["collaborators"] = json!([member]);
    let told = without("lambda:InvokeFunction", "InvokeInlineAgent", asked).await;
    expect!["AccessDeniedException: no lambda:InvokeFunction on arn:aws:lambda:us-east-1:123456789012:function:bill"].assert_eq(&told);
}

#[tokio::test]
async fn an_object_is_read_only_for_those_who_may_read_it() {
    let schema = json!({"s3": {"s3BucketName": "pay", "s3ObjectKey": "a/b.json"}});
    let file = json!([{"name": "roll.csv", "useCase": "CHAT", "source": {
        "sourceType": "S3", "s3Location": {"uri": "s3://pay/roll.csv"}}}]);

    let mut asked = described("find");
    asked["inlineSessionState"] = json!({"files": file.clone()});
    let told = without("s3:GetObject", "InvokeInlineAgent", asked).await;
    expect!["AccessDeniedException: no s3:GetObject on arn:aws:s3:::pay/roll.csv"].assert_eq(&told);

    let mut asked = described("find");
    let group = asked["actionGroups"][0].as_object_mut().unwrap();
    group.remove("functionSchema");
    group.insert("apiSchema".to_owned(), schema.clone());
    let told = without("s3:GetObject", "InvokeInlineAgent", asked).await;
    expect!["AccessDeniedException: no s3:GetObject on arn:aws:s3:::pay/a/b.json"].assert_eq(&told);

    let code = json!({"FunctionName": "f", "Runtime": "python3.12", "Handler": "m.h",
        "Role": "arn:aws:iam::123456789012:role/r", "Code": {"S3Bucket": "pay", "S3Key": "z.zip"}});
    expect!["AccessDeniedException: Your access has been denied by S3, please make sure your request credentials have permission to GetObject for pay/z.zip. S3 Error Code: AccessDenied. S3 Error Message: no s3:GetObject on arn:aws:s3:::pay/z.zip"].assert_eq(&without("s3:GetObject", "CreateFunction", code).await);
}

#[tokio::test]
async fn an_invocation_at_the_own_door_asks_what_invoke_agent_asks() {
    let mut cx = cx([]).await;
    cx.permissions = Arc::new(AllBut("bedrock:InvokeAgent"));
    let body = json!({"agentId": "AGENT12345", "agentAliasId": "TSTALIASID", "sessionId": "s1",
        "inputText": "hi"});
    let body = body.to_string();
    let asked = crate::admin::Asked {
        method: "POST",
        path: "/invocations",
        query: "",
        body: body.as_bytes(),
        last_event_id: None,
    };
    let told = match crate::admin::route(&cx, &asked).await {
        Ok(_) => "started".to_owned(),
        Err(fault) => fault.to_string(),
    };
    expect!["AccessDeniedException: no bedrock:InvokeAgent on arn:aws:bedrock:us-east-1:123456789012:agent-alias/AGENT12345/TSTALIASID"].assert_eq(&told);
}
