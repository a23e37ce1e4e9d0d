use engine::memory::{self, Summary};
use serde_json::{Value as Json, json};

use crate::Cx;
use crate::testing::{call, cx, done, refused};

const ROLE: &str = "arn:aws:iam::123456789012:role/agent";

async fn new_agent(cx: &Cx, name: &str) -> String {
    let input = json!({
        "agentName": name, "foundationModel": "anthropic.claude-3", "agentResourceRoleArn": ROLE,
        "instruction": "You help customers with their orders, politely and shortly.",
    });
    let made = done(cx, "CreateAgent", input).await;
    made["agent"]["agentId"].as_str().unwrap().to_owned()
}

fn group(agent: &str, name: &str) -> Json {
    json!({
        "agentId": agent, "agentVersion": "DRAFT", "actionGroupName": name,
        "actionGroupExecutor": {"customControl": "RETURN_CONTROL"},
        "functionSchema": {"functions": [{
            "name": "lookup", "description": "Looks an order up",
            "parameters": {"id": {"type": "string", "required": true}},
        }]},
    })
}

async fn status(cx: &Cx, agent: &str) -> String {
    let got = done(cx, "GetAgent", json!({"agentId": agent})).await;
    got["agent"]["agentStatus"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_edit_is_not_live_until_the_agent_is_prepared() {
    let cx = cx([llm::Step::text("<answer>hello</answer>")]).await;
    let agent = new_agent(&cx, "support").await;
    let ask = json!({
        "agentId": agent, "agentAliasId": "TSTALIASID", "sessionId": "s1", "inputText": "hi",
    });
    assert_eq!(status(&cx, &agent).await, "NOT_PREPARED");
    let fault = refused(&cx, "InvokeAgent", ask.clone()).await;
    assert!(fault.contains("has not been prepared yet"), "{fault}");

    let prepared = done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    assert_eq!(prepared["agentStatus"], "PREPARING");
    assert_eq!(status(&cx, &agent).await, "PREPARED");
    let (head, events) = call(&cx, "InvokeAgent", ask.clone()).await.unwrap();
    assert_eq!((&head["sessionId"], events.len()), (&json!("s1"), 1));

    done(&cx, "CreateAgentActionGroup", group(&agent, "orders")).await;
    assert_eq!(status(&cx, &agent).await, "NOT_PREPARED");
    assert!(call(&cx, "InvokeAgent", ask).await.is_ok());
}

#[tokio::test]
async fn an_alias_without_a_route_cuts_the_next_version_and_versions_stay_as_they_were() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "support").await;
    let alias = |name: &str| json!({"agentId": agent, "agentAliasName": name});
    let fault = refused(&cx, "CreateAgentAlias", alias("live")).await;
    assert!(fault.contains("when Agent is in NOT_PREPARED state"), "{fault}");

    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let first = done(&cx, "CreateAgentAlias", alias("live")).await["agentAlias"].clone();
    assert_eq!(first["agentAliasStatus"], "CREATING");
    assert_eq!(first["routingConfiguration"], json!([{"agentVersion": "1"}]));

    done(&cx, "CreateAgentActionGroup", group(&agent, "orders")).await;
    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let mut edit = alias("live");
    edit["agentAliasId"] = first["agentAliasId"].clone();
    let second = done(&cx, "UpdateAgentAlias", edit).await["agentAlias"].clone();
    let history = second["agentAliasHistoryEvents"].as_array().unwrap();
    let versions: Vec<_> =
        history.iter().map(|e| &e["routingConfiguration"][0]["agentVersion"]).collect();
    assert_eq!(versions, ["1", "2"]);
    assert_eq!((history[0]["endDate"].is_null(), history[1]["endDate"].is_null()), (false, true));

    let groups = |version: &str| json!({"agentId": agent, "agentVersion": version});
    let of_first = done(&cx, "ListAgentActionGroups", groups("1")).await;
    let of_second = done(&cx, "ListAgentActionGroups", groups("2")).await;
    assert_eq!(of_first["actionGroupSummaries"], json!([]));
    assert_eq!(of_second["actionGroupSummaries"][0]["actionGroupName"], "orders");

    let listed = done(&cx, "ListAgentVersions", json!({"agentId": agent})).await;
    let listed = listed["agentVersionSummaries"].as_array().unwrap();
    let numbers: Vec<_> = listed.iter().map(|v| &v["agentVersion"]).collect();
    assert_eq!(numbers, ["DRAFT", "2", "1"]);
}

#[tokio::test]
async fn deletes_respect_what_is_in_use() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "support").await;
    let made = done(&cx, "CreateAgentActionGroup", group(&agent, "orders")).await;
    let id = made["agentActionGroup"]["actionGroupId"].clone();
    let mut one = json!({"agentId": agent, "agentVersion": "DRAFT", "actionGroupId": id});
    let fault = refused(&cx, "DeleteAgentActionGroup", one.clone()).await;
    assert!(fault.contains("cannot be deleted when it is Enabled"), "{fault}");
    one["skipResourceInUseCheck"] = json!(true);
    done(&cx, "DeleteAgentActionGroup", one).await;

    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let alias = json!({"agentId": agent, "agentAliasName": "live"});
    let alias = done(&cx, "CreateAgentAlias", alias).await;
    let version = json!({"agentId": agent, "agentVersion": "1"});
    assert!(refused(&cx, "DeleteAgentVersion", version.clone()).await.starts_with("Conflict"));
    assert!(refused(&cx, "DeleteAgent", json!({"agentId": agent})).await.starts_with("Conflict"));

    let id = &alias["agentAlias"]["agentAliasId"];
    done(&cx, "DeleteAgentAlias", json!({"agentId": agent, "agentAliasId": id})).await;
    done(&cx, "DeleteAgentVersion", version.clone()).await;
    assert!(refused(&cx, "GetAgentVersion", version).await.starts_with("ResourceNotFound"));
    let gone = done(&cx, "DeleteAgent", json!({"agentId": agent})).await;
    assert_eq!(gone["agentStatus"], "DELETING");
    assert!(refused(&cx, "GetAgent", json!({"agentId": agent})).await.starts_with("ResourceNot"));
    let aliases = json!({"agentId": agent, "agentAliasId": "TSTALIASID"});
    assert!(refused(&cx, "GetAgentAlias", aliases).await.starts_with("ResourceNotFound"));
    new_agent(&cx, "support").await;
}

#[tokio::test]
async fn names_are_unique_and_a_client_token_gives_the_first_answer_again() {
    let cx = cx([]).await;
    let input =
        json!({"agentName": "support", "clientToken": "a-token-of-33-characters-or-more-x"});
    let first = done(&cx, "CreateAgent", input.clone()).await;
    assert_eq!(first["agent"]["agentStatus"], "CREATING");
    assert_eq!(done(&cx, "CreateAgent", input.clone()).await, first);
    let mut other = input.clone();
    other["description"] = json!("another body");
    assert!(refused(&cx, "CreateAgent", other).await.starts_with("ConflictException"));
    let fault = refused(&cx, "CreateAgent", json!({"agentName": "support"})).await;
    assert_eq!(fault, "ConflictException: an agent named support exists already");

    let id = first["agent"]["agentId"].as_str().unwrap();
    done(&cx, "CreateAgentActionGroup", group(id, "orders")).await;
    let fault = refused(&cx, "CreateAgentActionGroup", group(id, "orders")).await;
    assert!(fault.starts_with("ConflictException"), "{fault}");
    let test = json!({"agentId": id, "agentAliasName": "AgentTestAlias",
        "routingConfiguration": [{"agentVersion": "DRAFT"}]});
    assert!(refused(&cx, "CreateAgentAlias", test).await.contains("not a numbered version"));
}

#[tokio::test]
async fn a_schema_that_does_not_compile_is_refused_when_it_arrives() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "support").await;
    let mut bad = group(&agent, "orders");
    bad.as_object_mut().unwrap().remove("functionSchema");
    assert!(refused(&cx, "CreateAgentActionGroup", bad.clone()).await.starts_with("Validation"));
    bad["apiSchema"] = json!({"payload": "openapi: 3.0.0\npaths: 7\n"});
    let fault = refused(&cx, "CreateAgentActionGroup", bad).await;
    assert!(fault.starts_with("ValidationException: "), "{fault}");
}

#[tokio::test]
async fn a_built_in_group_stands_alone_and_only_the_one_that_is_served_can_be_on() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "support").await;
    let built_in = |name: &str, signature: &str, more: Json| {
        let mut group = json!({"agentId": agent, "agentVersion": "DRAFT", "actionGroupName": name,
            "parentActionGroupSignature": signature});
        group.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        group
    };
    let functions = group(&agent, "x")["functionSchema"].clone();
    for (more, field) in [
        (json!({"description": "asks"}), "'description'"),
        (json!({"apiSchema": {"payload": "{}"}}), "'apiSchema'"),
        (json!({"functionSchema": functions}), "'functionSchema'"),
        (json!({"actionGroupExecutor": {"lambda": "arn"}}), "'actionGroupExecutor'"),
        (json!({"parentActionGroupSignatureParams": {"a": "b"}}), "SignatureParams'"),
    ] {
        let asked = built_in("ask", "AMAZON.UserInput", more);
        let fault = refused(&cx, "CreateAgentActionGroup", asked).await;
        assert!(fault.starts_with("ValidationException") && fault.contains(field), "{fault}");
    }
    for signature in ["AMAZON.CodeInterpreter", "ANTHROPIC.Computer", "ANTHROPIC.Bash"] {
        let on = built_in("ask", signature, json!({}));
        let fault = refused(&cx, "CreateAgentActionGroup", on).await;
        assert!(
            fault.contains(&format!("'{signature}' at 'parentActionGroupSignature'")),
            "{fault}"
        );
        let off = json!({"actionGroupState": "DISABLED"});
        let name = signature.replace('.', "");
        let made = done(&cx, "CreateAgentActionGroup", built_in(&name, signature, off)).await;
        let id = &made["agentActionGroup"]["actionGroupId"];
        assert_eq!(made["agentActionGroup"]["parentActionSignature"], signature);
        let on = built_in(&name, signature, json!({"actionGroupId": id}));
        let fault = refused(&cx, "UpdateAgentActionGroup", on).await;
        assert!(fault.contains(signature), "{fault}");
    }
}

#[tokio::test]
async fn an_agent_that_may_ask_its_user_ends_its_turn_with_the_question() {
    let steps = [
        llm::Step::tool("user__askuser", json!({"question": "Which order?"})),
        llm::Step::text("<answer>no such tool</answer>"),
    ];
    let cx = cx(steps).await;
    let agent = new_agent(&cx, "support").await;
    let mut group = json!({"agentId": agent, "agentVersion": "DRAFT", "actionGroupName": "ask",
        "parentActionGroupSignature": "AMAZON.UserInput"});
    let made = done(&cx, "CreateAgentActionGroup", group.clone()).await;
    group["actionGroupId"] = made["agentActionGroup"]["actionGroupId"].clone();
    let ask = |text: &str, session: &str| {
        json!({"agentId": agent, "agentAliasId": "TSTALIASID", "sessionId": session,
            "inputText": text, "enableTrace": true})
    };
    let heard = |events: Vec<Json>| -> Vec<String> {
        let told = |event: &Json| {
            let observed = &event["trace"]["trace"]["orchestrationTrace"]["observation"];
            let kind = observed["type"].as_str()?;
            let text = observed["finalResponse"]["text"].as_str().unwrap_or_default();
            Some(format!("{kind} {text}"))
        };
        events.iter().filter_map(told).collect()
    };
    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let (_, events) = call(&cx, "InvokeAgent", ask("Send it back", "s1")).await.unwrap();
    assert_eq!(heard(events), ["ASK_USER Which order?"]);

    group["actionGroupState"] = json!("DISABLED");
    done(&cx, "UpdateAgentActionGroup", group).await;
    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let (_, events) = call(&cx, "InvokeAgent", ask("Send it back", "s2")).await.unwrap();
    assert_eq!(heard(events), ["REPROMPT ", "FINISH no such tool"]);
}

#[tokio::test]
async fn tags_are_set_at_creation_and_changed_by_arn() {
    let cx = cx([]).await;
    let input = json!({"agentName": "support", "tags": {"craton:budget": "5", "team": "a"}});
    let made = done(&cx, "CreateAgent", input).await;
    let arn = made["agent"]["agentArn"].clone();
    let tag = json!({"resourceArn": arn, "tags": {"team": "b"}});
    done(&cx, "bedrock-agent TagResource", tag).await;
    let untag = json!({"resourceArn": arn, "tagKeys": ["craton:budget", "unknown"]});
    done(&cx, "bedrock-agent UntagResource", untag).await;
    let listed = done(&cx, "bedrock-agent ListTagsForResource", json!({"resourceArn": arn})).await;
    assert_eq!(listed["tags"], json!({"team": "b"}));
    let foreign = json!({"resourceArn": "arn:aws:bedrock:us-east-1:999999999999:agent/AAAAAAAAAA"});
    let fault = refused(&cx, "bedrock-agent ListTagsForResource", foreign).await;
    assert!(fault.starts_with("ResourceNotFoundException"), "{fault}");
}

#[tokio::test]
async fn an_alias_asked_for_by_its_name_is_not_found_and_its_id_is_told() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "support").await;
    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let input = json!({"agentId": agent, "agentAliasName": "live"});
    let made = done(&cx, "CreateAgentAlias", input).await;
    let id = made["agentAlias"]["agentAliasId"].as_str().unwrap();
    for (given, end) in [
        ("live", format!("The id of alias live is {id}.")),
        ("DRAFT", "The id of alias DRAFT is TSTALIASID.".to_owned()),
        ("OTHER", "Retry the request with a different resource identifier.".to_owned()),
    ] {
        let input = json!({"agentId": agent, "agentAliasId": given});
        let fault = refused(&cx, "GetAgentAlias", input).await;
        assert!(fault.ends_with(&end), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aliases_made_at_once_cut_versions_of_their_own() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "support").await;
    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let made = (0..12).map(|n| {
        let (cx, agent) = (cx.clone(), agent.clone());
        tokio::spawn(async move {
            let input = json!({"agentId": agent, "agentAliasName": format!("alias{n}")});
            let made = done(&cx, "CreateAgentAlias", input).await;
            let route = &made["agentAlias"]["routingConfiguration"][0]["agentVersion"];
            route.as_str().unwrap().parse::<u32>().unwrap()
        })
    });
    let mut numbers = Vec::new();
    for task in made.collect::<Vec<_>>() {
        numbers.push(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_setting_of_sessions_is_refused_on_an_alias() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "tagged").await;
    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let tags = json!({"craton:session-days": "3"});
    let input = json!({"agentId": agent, "agentAliasName": "live", "tags": tags});
    let fault = refused(&cx, "CreateAgentAlias", input).await;
    assert!(fault.contains("craton:session-days is a setting of agents"), "{fault}");
    let input = json!({"agentId": agent, "agentAliasName": "live", "tags": {"team": "a"}});
    let alias = done(&cx, "CreateAgentAlias", input).await["agentAlias"].clone();
    let tag = json!({"resourceArn": alias["agentAliasArn"], "tags": tags});
    let fault = refused(&cx, "bedrock-agent TagResource", tag).await;
    assert!(fault.contains("tag the agent"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn memories_go_with_their_alias_and_with_their_agent() {
    let cx = cx([]).await;
    let agent = new_agent(&cx, "remembers").await;
    done(&cx, "PrepareAgent", json!({"agentId": agent})).await;
    let input = json!({"agentId": agent, "agentAliasName": "live"});
    let alias = done(&cx, "CreateAgentAlias", input).await["agentAlias"]["agentAliasId"].clone();
    let alias = alias.as_str().expect("an id");
    for alias in [alias, "TSTALIASID"] {
        remember(&cx, &agent, alias).await;
    }
    done(&cx, "DeleteAgentAlias", json!({"agentId": agent, "agentAliasId": alias})).await;
    assert_eq!(remembered(&cx, 1).await, 1);
    done(&cx, "DeleteAgent", json!({"agentId": agent})).await;
    assert_eq!(remembered(&cx, 0).await, 0);
}

async fn remember(cx: &Cx, agent: &str, alias: &str) {
    let tenant = super::document::tenant(cx);
    let summary = Summary {
        memory_id: "ann".to_owned(),
        session_id: "s".to_owned(),
        began_at: 0,
        expires_at: i64::MAX,
        text: "likes tea".to_owned(),
        run: "r".to_owned(),
        restricted: false,
    };
    let mut batch = store::Batch::new(&tenant, cx.engine.now());
    batch.put(&format!("{}1", memory::prefix(agent, alias, Some("ann"))), &summary);
    cx.engine.store().commit(batch).await.expect("a store");
}

/// How many memories there are, once upkeep has had its time to leave `wanted`.
async fn remembered(cx: &Cx, wanted: usize) -> usize {
    let tenant = super::document::tenant(cx);
    let mut left = usize::MAX;
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        left = cx.engine.store().list::<Summary>(&tenant, "", None, 10).await.unwrap().len();
        if left == wanted {
            break;
        }
    }
    left
}
