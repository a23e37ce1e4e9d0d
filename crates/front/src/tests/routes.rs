use expect_test::{Expect, expect};
use http::{HeaderMap, Method};

use crate::route::{self, Head, Plan};

/// `scope METHOD target` per line; `-` is unsigned, the SDK's word for its service follows after a
/// comma, a form after the target.
fn check(cases: &str, expected: &Expect) {
    let lines: Vec<String> = cases.lines().map(|case| line(case.trim())).collect();
    expected.assert_eq(&lines.join("\n"));
}

fn line(case: &str) -> String {
    let mut words = case.splitn(4, ' ');
    let mut word = || words.next();
    let scope = word().unwrap();
    let (scope, sdk) = scope.split_once(',').unwrap_or((scope, "-"));
    let scope = Some(scope).filter(|scope| *scope != "-");
    let method: Method = word().unwrap().parse().unwrap();
    let target = word().unwrap();
    let form = word().unwrap_or("");
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-user-agent", format!("aws-sdk/1 ua/2.1 {sdk} os/linux").parse().unwrap());
    if !form.is_empty() {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert("content-type", kind.parse().unwrap());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let head = Head { method: &method, path, query, target, headers: &headers, bucket: None };
    let routed = match route::plan(scope, &head) {
        Plan::Operation(routed) => Ok(routed),
        Plan::Form(service) => route::by_action(service, form.as_bytes()),
        Plan::Foreign(found) => {
            return format!("foreign {} {}", found.name(), found.operation(&head));
        }
        Plan::Unknown => Err(route::unknown(&head)),
    };
    match routed {
        Ok(routed) => {
            let labels: Vec<String> =
                routed.labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let (service, operation) = (routed.service.name, routed.operation.name);
            format!("{service} {operation}{} [{}]", labels.concat(), routed.action())
        }
        Err(fault) => format!("{} {fault}", fault.status()),
    }
}

#[test]
fn scope_then_method_and_path_find_the_operation() {
    check(
        "bedrock POST /agents/A1/
         bedrock POST /agents/A1
         bedrock POST /agents/A1/agentAliases/AL/sessions/s%2F1/text
         - POST /agents/A1/agentAliases/AL/sessions/s1/text
         bedrock PUT /agents/
         bedrock POST /model/anthropic.claude-3%3A0/converse
         bedrock POST /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Ax%2Fy/converse-stream
         lambda POST /2015-03-31/functions/f/invocations
         lambda GET /2015-03-31/functions/
         - GET /2015-03-31/functions
         lambda POST /agents/A1/
         bedrock GET /agents/A1
         bedrock GET /agents/A1//
         - GET /",
        &expect![[r#"
            bedrock-agent PrepareAgent agentId=A1 [bedrock:PrepareAgent]
            bedrock-agent-runtime InvokeInlineAgent sessionId=A1 [bedrock:InvokeInlineAgent]
            bedrock-agent-runtime InvokeAgent agentAliasId=AL agentId=A1 sessionId=s/1 [bedrock:InvokeAgent]
            bedrock-agent-runtime InvokeAgent agentAliasId=AL agentId=A1 sessionId=s1 [bedrock:InvokeAgent]
            bedrock-agent CreateAgent [bedrock:CreateAgent]
            bedrock-runtime Converse modelId=anthropic.claude-3:0 [bedrock:InvokeModel]
            bedrock-runtime ConverseStream modelId=arn:aws:bedrock:us-east-1::x/y [bedrock:InvokeModelWithResponseStream]
            lambda Invoke FunctionName=f [lambda:InvokeFunction]
            lambda ListFunctions [lambda:ListFunctions]
            lambda ListFunctions [lambda:ListFunctions]
            404 UnknownOperationException: no operation has POST /agents/A1/
            bedrock-agent GetAgent agentId=A1 [bedrock:GetAgent]
            404 UnknownOperationException: no operation has GET /agents/A1//
            404 UnknownOperationException: no operation has GET /"#]],
    );
}

#[test]
fn a_missing_last_slash_is_forgiven_to_an_sdk_that_names_its_service() {
    check(
        "bedrock,api/bedrockagent/1.156.0 POST /agents/A1
         bedrock,api/bedrock-agent#3.1138.0 POST /agents/A1
         bedrock,api/Bedrock_Agent#2.30.0 POST /agents/A1/
         bedrock,api/bedrockagentruntime/1.151.0 POST /agents/A1
         bedrock,api/bedrockagent/1.156.0 POST /agents?maxResults=1
         bedrock,api/dynamodb/1.0.0 POST /agents/A1/
         bedrock,api/bedrockagentruntime/1.151.0 PUT /agents",
        &expect![[r#"
            bedrock-agent PrepareAgent agentId=A1 [bedrock:PrepareAgent]
            bedrock-agent PrepareAgent agentId=A1 [bedrock:PrepareAgent]
            bedrock-agent PrepareAgent agentId=A1 [bedrock:PrepareAgent]
            bedrock-agent-runtime InvokeInlineAgent sessionId=A1 [bedrock:InvokeInlineAgent]
            bedrock-agent ListAgents [bedrock:ListAgents]
            bedrock-agent PrepareAgent agentId=A1 [bedrock:PrepareAgent]
            404 UnknownOperationException: no operation has PUT /agents"#]],
    );
}

#[test]
fn a_tag_path_goes_to_the_service_of_its_arn() {
    check(
        "bedrock GET /tags/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FA1
         - GET /tags/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Asession%2FS1
         - GET /2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af",
        &expect![[r#"
            bedrock-agent ListTagsForResource resourceArn=arn:aws:bedrock:us-east-1:123456789012:agent/A1 [bedrock:ListTagsForResource]
            bedrock-agent-runtime ListTagsForResource resourceArn=arn:aws:bedrock:us-east-1:123456789012:session/S1 [bedrock:ListTagsForResource]
            lambda ListTags Resource=arn:aws:lambda:us-east-1:123456789012:function:f [lambda:ListTags]"#]],
    );
}

#[test]
fn a_form_names_its_operation() {
    check(
        "sts POST / Action=GetCallerIdentity&Version=2011-06-15
         - POST / Version=2010-05-08&RoleName=r&Action=CreateRole
         iam POST / Action=GetCallerIdentity&Version=2011-06-15
         sts POST / Action=Nothing&Version=2011-06-15
         sts POST / Version=2011-06-15
         dynamodb POST /
         s3 GET /bucket/key",
        &expect![[r#"
            sts GetCallerIdentity [sts:GetCallerIdentity]
            iam CreateRole [iam:CreateRole]
            400 InvalidAction: Could not find operation GetCallerIdentity for version 2011-06-15
            400 InvalidAction: Could not find operation Nothing for version 2011-06-15
            400 MissingAction: the request has no Action parameter
            foreign dynamodb or dynamodbstreams POST /
            foreign s3 GetObject"#]],
    );
}
