//! What is kept of prompts, and what becomes of them when they are changed, copied and deleted.

use serde_json::{Value as Json, json};

use crate::Cx;
use crate::testing::{cx, done, refused};

fn text(words: &str) -> Json {
    json!([{"name": "v", "templateType": "TEXT", "modelId": "m",
            "templateConfiguration": {"text": {"text": words}}}])
}

async fn new_prompt(cx: &Cx, name: &str) -> String {
    let input = json!({"name": name, "variants": text("one")});
    done(cx, "CreatePrompt", input).await["id"].as_str().unwrap().to_owned()
}

async fn words(cx: &Cx, id: &str, version: &str) -> Json {
    let asked = json!({"promptIdentifier": id, "promptVersion": version});
    let got = done(cx, "GetPrompt", asked).await;
    got["variants"][0]["templateConfiguration"]["text"]["text"].clone()
}

#[tokio::test]
async fn a_version_stays_as_the_draft_was_and_numbers_are_not_used_twice() {
    let cx = cx([]).await;
    let id = new_prompt(&cx, "p").await;
    let cut = json!({"promptIdentifier": id});
    assert_eq!(done(&cx, "CreatePromptVersion", cut.clone()).await["version"], "1");
    let edit = json!({"promptIdentifier": id, "name": "q", "variants": text("two")});
    done(&cx, "UpdatePrompt", edit).await;
    assert_eq!(done(&cx, "CreatePromptVersion", cut.clone()).await["version"], "2");
    assert_eq!(words(&cx, &id, "1").await, "one");
    assert_eq!(words(&cx, &id, "02").await, "two");
    let gone = json!({"promptIdentifier": id, "promptVersion": "2"});
    assert_eq!(done(&cx, "DeletePrompt", gone).await, json!({"id": id, "version": "2"}));
    assert_eq!(done(&cx, "CreatePromptVersion", cut).await["version"], "3");
    let listed = done(&cx, "ListPrompts", json!({"promptIdentifier": id})).await;
    let versions = listed["promptSummaries"].as_array().unwrap().iter();
    let names: Vec<_> = versions.map(|one| (&one["version"], &one["name"])).collect();
    let (p, q) = (&json!("p"), &json!("q"));
    assert_eq!(names, [(&json!("DRAFT"), q), (&json!("3"), q), (&json!("1"), p)]);
}

#[tokio::test]
async fn a_name_is_held_by_one_prompt_until_it_is_renamed_or_deleted() {
    let cx = cx([]).await;
    let first = new_prompt(&cx, "p").await;
    let taken = json!({"name": "p"});
    let conflict = "ConflictException: a prompt named p exists already";
    assert_eq!(refused(&cx, "CreatePrompt", taken.clone()).await, conflict);
    done(&cx, "UpdatePrompt", json!({"promptIdentifier": first, "name": "q"})).await;
    let second = done(&cx, "CreatePrompt", taken).await["id"].clone();
    let back = json!({"promptIdentifier": first, "name": "p"});
    assert_eq!(refused(&cx, "UpdatePrompt", back.clone()).await, conflict);
    done(&cx, "DeletePrompt", json!({"promptIdentifier": second})).await;
    done(&cx, "UpdatePrompt", back).await;
}

#[tokio::test]
async fn a_deleted_prompt_takes_its_versions_along_and_a_version_is_changed_by_nothing() {
    let cx = cx([]).await;
    let id = new_prompt(&cx, "p").await;
    let made = done(&cx, "CreatePromptVersion", json!({"promptIdentifier": id})).await;
    let of_version = made["arn"].clone();
    for operation in ["UpdatePrompt", "CreatePromptVersion", "ListPrompts"] {
        let input = json!({"promptIdentifier": of_version, "name": "p"});
        let fault = refused(&cx, operation, input).await;
        assert!(fault.contains("names version 1"), "{operation}: {fault}");
    }
    let other = json!({"promptIdentifier": of_version, "promptVersion": "2"});
    assert!(refused(&cx, "GetPrompt", other).await.contains("another version"));
    done(&cx, "DeletePrompt", json!({"promptIdentifier": id})).await;
    for input in [json!({"promptIdentifier": id}), json!({"promptIdentifier": of_version})] {
        let fault = refused(&cx, "GetPrompt", input).await;
        assert!(fault.starts_with("ResourceNotFoundException"), "{fault}");
    }
}
