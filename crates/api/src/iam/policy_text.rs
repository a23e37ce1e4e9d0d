//! Policy documents as texts: what is refused, how long they are, and how they are shown.
//!
//! A document is kept exactly as the client sent it. Its grammar is checked as far as nobody can
//! mean what it says: no JSON, no statements, a principal where none belongs. Nothing is evaluated.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use wire::fault::Fault;

use super::fault::malformed;

/// AWS: documents come back encoded as RFC 3986 says (GetRole).
pub(super) fn shown(document: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(document, KEPT).to_string()
}

/// AWS: quotas of policies do not count white space (IAM quotas).
pub(super) fn chars(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// Who may take a role: names principals, never resources.
pub(super) fn check_trust(document: &str) -> Result<(), Fault> {
    for statement in &statements(document)? {
        for field in ["Resource", "NotResource"] {
            if statement.get(field).is_some() {
                // AWS: this wording (CreateRole).
                return Err(malformed(format!("Has prohibited field {field}")));
            }
        }
        require(statement, &["Principal", "NotPrincipal"])?;
    }
    Ok(())
}

/// What a role may do: names resources, never principals.
pub(super) fn check_permissions(document: &str) -> Result<(), Fault> {
    for statement in &statements(document)? {
        if statement.get("Principal").is_some() || statement.get("NotPrincipal").is_some() {
            // AWS: this wording (PutRolePolicy).
            return Err(malformed("Policy document should not specify a principal."));
        }
        require(statement, &["Resource", "NotResource"])?;
    }
    Ok(())
}

fn statements(document: &str) -> Result<Vec<Json>, Fault> {
    let Ok(parsed) = serde_json::from_str::<Json>(document) else {
        // AWS: this wording (CreateRole).
        return Err(malformed("This policy contains invalid Json"));
    };
    let statements = match parsed.get("Statement") {
        Some(Json::Array(list)) if !list.is_empty() => list.clone(),
        Some(one @ Json::Object(_)) => vec![one.clone()],
        _ => return Err(malformed("Syntax errors in policy: it needs a Statement.")),
    };
    for statement in &statements {
        let effect = statement.get("Effect").and_then(Json::as_str);
        if !matches!(effect, Some("Allow" | "Deny")) {
            return Err(malformed("Syntax errors in policy: Effect must be Allow or Deny."));
        }
        require(statement, &["Action", "NotAction"])?;
    }
    Ok(statements)
}

fn require(statement: &Json, either: &[&str; 2]) -> Result<(), Fault> {
    if either.iter().any(|field| statement.get(field).is_some()) {
        return Ok(());
    }
    Err(malformed(format!("Missing required field {}", either[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, trust: Result<(), &str>, permissions: Result<(), &str>) {
        let told = |outcome: Result<(), Fault>| outcome.map_err(|fault| fault.message().to_owned());
        assert_eq!(told(check_trust(document)), trust.map_err(str::to_owned));
        assert_eq!(told(check_permissions(document)), permissions.map_err(str::to_owned));
    }

    #[test]
    fn a_document_must_be_of_the_kind_that_its_place_needs() {
        let principal = "Policy document should not specify a principal.";
        check(
            r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}]}"#,
            Ok(()),
            Err(principal),
        );
        check(
            r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
            Err("Has prohibited field Resource"),
            Ok(()),
        );
        let broken = Err("This policy contains invalid Json");
        check("{", broken, broken);
        let empty = Err("Syntax errors in policy: it needs a Statement.");
        check("{}", empty, empty);
        check(r#"{"Statement": []}"#, empty, empty);
        check(
            r#"{"Statement": {"Effect": "Allow", "Action": "*"}}"#,
            Err("Missing required field Principal"),
            Err("Missing required field Resource"),
        );
        let effect = Err("Syntax errors in policy: Effect must be Allow or Deny.");
        check(r#"{"Statement": {"Action": "*"}}"#, effect, effect);
    }

    #[test]
    fn a_document_is_shown_percent_encoded_and_counted_without_white_space() {
        assert_eq!(
            shown(r#"{"a": "b*c-d_e.f~g/h"}"#),
            "%7B%22a%22%3A%20%22b%2Ac-d_e.f~g%2Fh%22%7D"
        );
        assert_eq!(chars("{ \"a\":\n 1 }"), 7);
    }
}
