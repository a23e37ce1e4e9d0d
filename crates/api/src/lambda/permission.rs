//! The resource-based policy of a function: who may call it.
//!
//! Statements are stored and shown; nothing is enforced by them yet (docs/iam.md).

use engine::function::FunctionRecord;
use serde_json::{Value as Json, json};
use store::Batch;
use wire::fault::Fault;
use wire::lambda::types::{
    AddPermissionRequest, AddPermissionResponse, GetPolicyRequest, GetPolicyResponse,
    RemovePermissionRequest,
};

use super::fault::{conflict, invalid, not_found, undone, unserved};
use super::limits;
use super::reference::{LATEST, Reference, is_alias, tenant};
use super::settings::Settings;
use crate::cx::Cx;
use crate::edit::edit;

pub(crate) async fn add(
    cx: &Cx,
    input: AddPermissionRequest,
) -> Result<AddPermissionResponse, Fault> {
    let reference = policy_of(cx, &input.function_name, input.qualifier.as_deref())?;
    let statement = statement(&reference.qualified_arn(), &input)?;
    let text = statement.to_string();
    change(cx, &reference, input.revision_id.as_deref(), |statements| {
        if statements.iter().any(|other| is_named(other, &input.statement_id)) {
            // AWS: this wording (AddPermission, ResourceConflictException).
            return Err(conflict(format!(
                "The statement id ({}) provided already exists. Please provide a new statement \
                 id, or remove the existing statement.",
                input.statement_id
            )));
        }
        statements.push(statement.clone());
        fits(statements)
    })
    .await?;
    Ok(AddPermissionResponse { statement: Some(text) })
}

pub(crate) async fn remove(cx: &Cx, input: RemovePermissionRequest) -> Result<(), Fault> {
    let reference = policy_of(cx, &input.function_name, input.qualifier.as_deref())?;
    change(cx, &reference, input.revision_id.as_deref(), |statements| {
        let before = statements.len();
        statements.retain(|statement| !is_named(statement, &input.statement_id));
        if statements.len() == before {
            let id = &input.statement_id;
            return Err(not_found(format!("Statement {id} is not found in resource policy.")));
        }
        Ok(())
    })
    .await
}

pub(crate) async fn get(cx: &Cx, input: GetPolicyRequest) -> Result<GetPolicyResponse, Fault> {
    let reference = Reference::read(cx, &input.function_name, input.qualifier.as_deref())?;
    let settings = Settings::of(&reference.load(cx).await?.value)?;
    if settings.statements.is_empty() {
        // AWS: a function without statements has no policy at all (GetPolicy).
        return Err(not_found("The resource you requested does not exist."));
    }
    let policy = Some(document(&settings.statements).to_string());
    Ok(GetPolicyResponse { policy, revision_id: Some(settings.revision) })
}

/// Whether the function's policy lets Bedrock call it, as AWS demands; `None` if there is no such
/// function here.
pub(crate) async fn lets_bedrock_call(cx: &Cx, function: &str) -> Option<bool> {
    let reference = Reference::read(cx, function, None).ok()?;
    let settings = Settings::of(&reference.load(cx).await.ok()?.value).ok()?;
    let allows = |statement: &Json| {
        let principal = &statement["Principal"];
        *principal == json!("*") || principal["Service"] == json!("bedrock.amazonaws.com")
    };
    Some(settings.statements.iter().any(allows))
}

fn policy_of(cx: &Cx, name: &str, qualifier: Option<&str>) -> Result<Reference, Fault> {
    let reference = Reference::read(cx, name, qualifier)?.here()?;
    if reference.qualifier.as_deref() == Some(LATEST) {
        // AWS: a policy hangs on a version or on the function without a qualifier (AddPermission).
        return Err(invalid("We currently do not support adding policies for $LATEST."));
    }
    if let Some(alias) = reference.qualifier.as_deref().filter(|qualifier| is_alias(qualifier)) {
        return Err(unserved(&format!("Qualifier {alias}"), "policies of aliases"));
    }
    Ok(reference)
}

async fn change(
    cx: &Cx,
    reference: &Reference,
    revision: Option<&str>,
    statements: impl Fn(&mut Vec<Json>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let apply = |record: &mut FunctionRecord, _: &mut Batch| {
        let mut settings = Settings::of(record)?;
        settings.expect_revision(revision)?;
        statements(&mut settings.statements)?;
        settings.revision = cx.engine.fresh_id();
        settings.store(record)
    };
    let done = edit(&cx.engine, &tenant(cx), &reference.id(), apply).await;
    done.map_err(|why| undone(why, || reference.missing()))
}

fn is_named(statement: &Json, id: &str) -> bool {
    statement.get("Sid").and_then(Json::as_str) == Some(id)
}

fn document(statements: &[Json]) -> Json {
    json!({"Version": "2012-10-17", "Id": "default", "Statement": statements})
}

fn fits(statements: &[Json]) -> Result<(), Fault> {
    let size = document(statements).to_string().len();
    if size <= limits::POLICY_BYTES {
        return Ok(());
    }
    let message =
        format!("the policy would have {size} bytes; {} is the most", limits::POLICY_BYTES);
    Err(Fault::new("PolicyLengthExceededException", 400, message))
}

/// AWS: which condition each member becomes (Lambda developer guide, resource-based policies).
fn statement(resource: &str, input: &AddPermissionRequest) -> Result<Json, Fault> {
    let mut statement = json!({
        "Sid": input.statement_id,
        "Effect": "Allow",
        "Principal": principal(&input.principal)?,
        "Action": input.action,
        "Resource": resource,
    });
    let equals = [
        ("AWS:SourceAccount", input.source_account.clone()),
        ("lambda:EventSourceToken", input.event_source_token.clone()),
        ("lambda:FunctionUrlAuthType", input.function_url_auth_type.map(|t| t.to_string())),
        ("aws:PrincipalOrgID", input.principal_org_id.clone()),
    ];
    let via_url = input.invoked_via_function_url.map(|via| via.to_string());
    let condition = [
        ("StringEquals", conditions(equals)),
        ("ArnLike", conditions([("AWS:SourceArn", input.source_arn.clone())])),
        ("Bool", conditions([("lambda:InvokedViaFunctionUrl", via_url)])),
    ];
    let condition: serde_json::Map<_, _> = condition
        .into_iter()
        .filter_map(|(operator, keys)| Some((operator.to_owned(), keys?)))
        .collect();
    if !condition.is_empty() {
        statement["Condition"] = Json::Object(condition);
    }
    Ok(statement)
}

fn conditions<const N: usize>(keys: [(&str, Option<String>); N]) -> Option<Json> {
    let keys = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
    let keys: serde_json::Map<String, Json> = keys.collect();
    (!keys.is_empty()).then_some(Json::Object(keys))
}

/// AWS: a service, an account, an ARN of IAM, or everybody (AddPermission, `Principal`).
fn principal(text: &str) -> Result<Json, Fault> {
    if text == "*" {
        return Ok(json!("*"));
    }
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(json!({"AWS": format!("arn:aws:iam::{text}:root")}));
    }
    if text.starts_with("arn:") {
        return Ok(json!({"AWS": text}));
    }
    if text.contains(".amazonaws.com") {
        return Ok(json!({"Service": text}));
    }
    // AWS: this wording.
    Err(invalid("The provided principal was invalid. Please check the principal and try again."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(principal: &str) -> AddPermissionRequest {
        AddPermissionRequest {
            function_name: "f".into(),
            statement_id: "s".into(),
            action: "lambda:InvokeFunction".into(),
            principal: principal.into(),
            source_arn: None,
            function_url_auth_type: None,
            invoked_via_function_url: None,
            source_account: None,
            event_source_token: None,
            qualifier: None,
            revision_id: None,
            principal_org_id: None,
        }
    }

    #[track_caller]
    fn check(asked: &AddPermissionRequest, expected: &Json) {
        assert_eq!(&statement("arn:f", asked).expect("the principal is one"), expected);
    }

    #[test]
    fn a_permission_becomes_a_statement() {
        let agent = AddPermissionRequest {
            source_arn: Some("arn:aws:bedrock:r:1:agent/A".into()),
            source_account: Some("123456789012".into()),
            ..asked("bedrock.amazonaws.com")
        };
        check(
            &agent,
            &json!({
                "Sid": "s", "Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"},
                "Action": "lambda:InvokeFunction", "Resource": "arn:f",
                "Condition": {
                    "StringEquals": {"AWS:SourceAccount": "123456789012"},
                    "ArnLike": {"AWS:SourceArn": "arn:aws:bedrock:r:1:agent/A"},
                },
            }),
        );
        check(
            &asked("123456789012"),
            &json!({
                "Sid": "s", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "lambda:InvokeFunction", "Resource": "arn:f",
            }),
        );
        assert!(statement("arn:f", &asked("somebody")).is_err());
    }
}
