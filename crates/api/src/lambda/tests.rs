//! What a client cannot see from outside: which packages are kept. And how versions come and go.

use bytes::Bytes;
use serde_json::{Value as Json, json};
use wire::lambda::types::FunctionConfiguration;
use wire::shape::Shape;
use wire::value::Value;

use super::code;
use super::function;
use super::reference::tenant;
use crate::cx::Cx;
use crate::testing::{cx, done, refused};

/// The SHA-256 of `one` and of `two`; the engine of these tests takes any bytes for a package.
const ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
const TWO: &str = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";

fn input<T: Shape>(members: Json) -> T {
    let Value::Map(mut map) = Value::from(members) else { panic!("an input is a map") };
    let holder = match map.get_mut("Code") {
        Some(Value::Map(code)) => code,
        _ => &mut map,
    };
    if let Some(Value::String(zip)) = holder.get("ZipFile").cloned() {
        holder.insert("ZipFile".into(), Value::Blob(Bytes::from(zip)));
    }
    T::from_value(Value::Map(map)).unwrap()
}

async fn create(cx: &Cx, name: &str, zip: &str, publish: bool) -> FunctionConfiguration {
    let members = json!({
        "FunctionName": name, "Runtime": "python3.12", "Handler": "app.h", "Publish": publish,
        "Role": "arn:aws:iam::123456789012:role/r", "Code": {"ZipFile": zip},
    });
    function::create(cx, input(members)).await.unwrap()
}

async fn update(cx: &Cx, name: &str, zip: &str, publish: bool) -> FunctionConfiguration {
    let members = json!({"FunctionName": name, "ZipFile": zip, "Publish": publish});
    code::update(cx, input(members)).await.unwrap()
}

/// Which of the two packages the store holds.
async fn kept(cx: &Cx) -> [bool; 2] {
    let store = cx.engine.store();
    let one = store.blob(&tenant(cx), ONE).await.unwrap();
    let two = store.blob(&tenant(cx), TWO).await.unwrap();
    [one.is_some(), two.is_some()]
}

#[tokio::test]
async fn a_package_goes_with_the_last_that_holds_it() {
    let cx = cx([]).await;
    create(&cx, "f", "one", false).await;
    create(&cx, "g", "one", true).await;
    done(&cx, "DeleteFunction", json!({"FunctionName": "f"})).await;
    assert_eq!(kept(&cx).await, [true, false]);
    update(&cx, "g", "two", false).await;
    assert_eq!(kept(&cx).await, [true, true], "version 1 of g still holds it");
    done(&cx, "DeleteFunction", json!({"FunctionName": "g", "Qualifier": "1"})).await;
    assert_eq!(kept(&cx).await, [false, true]);
    update(&cx, "g", "two", false).await;
    assert_eq!(kept(&cx).await, [false, true], "the same package again");
    done(&cx, "DeleteFunction", json!({"FunctionName": "g"})).await;
    assert_eq!(kept(&cx).await, [false, false]);
}

#[tokio::test]
async fn a_version_is_cut_only_from_a_change_and_goes_with_its_function() {
    let cx = cx([]).await;
    let version = |answer: FunctionConfiguration| answer.version.unwrap_or_default();
    assert_eq!(version(create(&cx, "f", "one", true).await), "1");
    assert_eq!(version(update(&cx, "f", "one", true).await), "1");
    assert_eq!(version(update(&cx, "f", "two", true).await), "2");
    assert_eq!(version(update(&cx, "f", "one", false).await), "$LATEST");
    let first = done(&cx, "GetFunctionConfiguration", json!({"FunctionName": "f:1"})).await;
    let latest = done(&cx, "GetFunctionConfiguration", json!({"FunctionName": "f"})).await;
    assert_eq!(first["CodeSha256"], latest["CodeSha256"]);
    done(&cx, "DeleteFunction", json!({"FunctionName": "f"})).await;
    assert_eq!(
        refused(&cx, "GetFunctionConfiguration", json!({"FunctionName": "f:2"})).await,
        "ResourceNotFoundException: Function not found: \
         arn:aws:lambda:us-east-1:123456789012:function:f:2"
    );
    assert_eq!(version(create(&cx, "f", "one", true).await), "1");
}
