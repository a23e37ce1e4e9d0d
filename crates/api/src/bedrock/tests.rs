use llm::Step;
use serde_json::{Value as Json, json};

use super::catalog;
use crate::cx::Cx;
use crate::testing::{call, cx, done, refused};

const HAIKU: &str = "anthropic.claude-3-haiku-20240307-v1:0";

fn haiku() -> String {
    catalog::arn("us-east-1", HAIKU)
}

async fn profile(cx: &Cx, token: &str, name: &str) -> Json {
    let input = json!({"inferenceProfileName": name, "modelSource": {"copyFrom": haiku()},
                       "clientRequestToken": token, "tags": [{"key": "team", "value": "a"}]});
    done(cx, "CreateInferenceProfile", input).await
}

#[tokio::test]
async fn the_table_of_models_is_read_whole() {
    let cx = cx([Step::text("x")]).await;
    let models = catalog::models(&cx.engine);
    let lines = include_str!("foundation_models.txt").lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let id = line.split('|').next().unwrap().trim();
        let facts = models.get(id).and_then(|facts| *facts).expect(line);
        assert!(!facts.input.is_empty() && !facts.output.is_empty(), "{line}");
        assert_eq!(llm::bare_id(id), id);
    }
}

#[tokio::test]
async fn models_are_listed_by_what_is_asked_of_them() {
    let cx = cx([Step::text("x")]).await;
    let ids = async |filter: Json| {
        let answer = done(&cx, "ListFoundationModels", filter).await;
        let ids = answer["modelSummaries"].as_array().unwrap().iter();
        ids.map(|model| model["modelId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(ids(json!({})).await.contains(&HAIKU.to_owned()));
    let embeddings = ids(json!({"byOutputModality": "EMBEDDING", "byProvider": "cohere"})).await;
    assert_eq!(
        embeddings,
        ["cohere.embed-english-v3", "cohere.embed-multilingual-v3", "cohere.embed-v4:0"]
    );
    assert!(ids(json!({"byCustomizationType": "FINE_TUNING"})).await.is_empty());
    let answer = done(&cx, "GetFoundationModel", json!({"modelIdentifier": haiku()})).await;
    assert_eq!(answer["modelDetails"]["modelName"], "Claude 3 Haiku");
}

#[tokio::test]
async fn a_profile_of_ones_own_stands_for_its_model() {
    let cx = cx([Step::text("Hello.")]).await;
    let made = profile(&cx, "t1", "mine").await;
    let arn = made["inferenceProfileArn"].as_str().unwrap().to_owned();
    assert!(arn.contains(":application-inference-profile/"), "{arn}");
    assert_eq!(profile(&cx, "t1", "mine").await["inferenceProfileArn"], json!(arn));
    let found = done(&cx, "GetInferenceProfile", json!({"inferenceProfileIdentifier": arn})).await;
    assert_eq!(
        (&found["type"], &found["models"]),
        (&json!("APPLICATION"), &json!([{"modelArn": haiku()}]))
    );
    let ask = json!({"modelId": arn, "messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    let answer = done(&cx, "Converse", ask.clone()).await;
    assert_eq!(answer["stopReason"], "end_turn");
    done(&cx, "DeleteInferenceProfile", json!({"inferenceProfileIdentifier": arn})).await;
    let fault = refused(&cx, "Converse", ask).await;
    assert!(
        fault.starts_with("ResourceNotFoundException") && fault.contains("does not exist"),
        "{fault}"
    );
}

#[tokio::test]
async fn an_arn_of_another_account_or_region_is_of_nothing_here() {
    let cx = cx([Step::text("Hello.")]).await;
    let made = profile(&cx, "t1", "mine").await;
    let profile = made["inferenceProfileArn"].as_str().unwrap();
    let input = json!({"promptRouterName": "r", "models": [{"modelArn": haiku()}],
                       "fallbackModel": {"modelArn": haiku()},
                       "routingCriteria": {"responseQualityDifference": 25.0}});
    let router = done(&cx, "CreatePromptRouter", input).await["promptRouterArn"].clone();
    let hi = json!([{"role": "user", "content": [{"text": "hi"}]}]);
    for arn in [profile, router.as_str().unwrap()] {
        done(&cx, "Converse", json!({"modelId": arn, "messages": hi})).await;
        for foreign in [
            arn.replace(&cx.caller.account, "999999999999"),
            arn.replace(&cx.caller.region, "eu-west-1"),
        ] {
            let ask = json!({"modelId": foreign, "messages": hi});
            let fault = refused(&cx, "Converse", ask).await;
            assert!(fault.starts_with("ResourceNotFoundException"), "{foreign}: {fault}");
        }
    }
    let foreign = profile.replace(&cx.caller.account, "999999999999");
    for operation in ["GetInferenceProfile", "DeleteInferenceProfile"] {
        let input = json!({"inferenceProfileIdentifier": foreign});
        let fault = refused(&cx, operation, input).await;
        assert!(fault.starts_with("ResourceNotFoundException"), "{operation}: {fault}");
    }
    done(&cx, "GetInferenceProfile", json!({"inferenceProfileIdentifier": profile})).await;
}

#[tokio::test]
async fn a_token_that_was_used_for_another_create_is_a_conflict() {
    let cx = cx([Step::text("x")]).await;
    profile(&cx, "t1", "mine").await;
    let input = json!({"inferenceProfileName": "other", "modelSource": {"copyFrom": haiku()},
                       "clientRequestToken": "t1"});
    let fault = refused(&cx, "CreateInferenceProfile", input).await;
    assert!(fault.starts_with("ConflictException"), "{fault}");
}

#[tokio::test]
async fn profiles_of_aws_are_those_of_the_callers_geography() {
    let cx = cx([Step::text("x")]).await;
    let (answer, _) = call(&cx, "ListInferenceProfiles", json!({})).await.unwrap();
    let profiles = answer["inferenceProfileSummaries"].as_array().unwrap();
    let ids: Vec<_> = profiles.iter().map(|p| p["inferenceProfileId"].as_str().unwrap()).collect();
    assert!(ids.contains(&format!("us.{HAIKU}").as_str()));
    assert!(ids.iter().all(|id| id.starts_with("us.") || id.starts_with("global.")), "{ids:?}");
    let own = profiles.iter().find(|p| p["inferenceProfileId"] == format!("us.{HAIKU}")).unwrap();
    assert_eq!(own["inferenceProfileName"], "US Anthropic Claude 3 Haiku");
    let input = json!({"inferenceProfileIdentifier": format!("us.{HAIKU}")});
    let fault = refused(&cx, "DeleteInferenceProfile", input).await;
    assert!(fault.contains("is not the account's own"), "{fault}");
}

#[tokio::test]
async fn a_router_leads_to_a_model_and_has_tags() {
    let cx = cx([Step::text("Hello.")]).await;
    let input = json!({"promptRouterName": "r", "models": [{"modelArn": haiku()}],
                       "fallbackModel": {"modelArn": haiku()},
                       "routingCriteria": {"responseQualityDifference": 25.0}});
    let arn = done(&cx, "CreatePromptRouter", input).await["promptRouterArn"].clone();
    let ask = json!({"modelId": arn, "messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    done(&cx, "Converse", ask).await;
    let tags = json!({"resourceARN": arn, "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]});
    done(&cx, "bedrock TagResource", tags).await;
    done(&cx, "bedrock UntagResource", json!({"resourceARN": arn, "tagKeys": ["a"]})).await;
    let told = done(&cx, "bedrock ListTagsForResource", json!({"resourceARN": arn})).await;
    assert_eq!(told, json!({"tags": [{"key": "b", "value": "2"}]}));
    let many: Vec<_> = (0..51).map(|n| json!({"key": format!("k{n}"), "value": ""})).collect();
    let fault =
        refused(&cx, "bedrock TagResource", json!({"resourceARN": arn, "tags": many})).await;
    assert!(fault.starts_with("TooManyTagsException"), "{fault}");
}
