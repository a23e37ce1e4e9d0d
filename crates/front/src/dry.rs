//! `x-craton-dry-run: true` asks that a turn change nothing.
//!
//! It is read before anything is done, and whoever has no dry run refuses it: to do what was not to be done
//! would be the worst answer.

use http::HeaderMap;
use wire::fault::Fault;

const HEADER: &str = "x-craton-dry-run";

/// Whether an operation is to be a dry run; only turns can be.
pub(crate) fn asked(headers: &HeaderMap, operation: &str) -> Result<bool, Fault> {
    let dry = said(headers)?;
    if !dry || matches!(operation, "InvokeAgent" | "InvokeInlineAgent") {
        return Ok(dry);
    }
    Err(Fault::validation(format!(
        "{HEADER} is for InvokeAgent and InvokeInlineAgent; {operation} was not done"
    )))
}

/// Of what is no turn.
pub(crate) fn refuse(headers: &HeaderMap, what: &str) -> Result<(), Fault> {
    asked(headers, what).map(drop)
}

fn said(headers: &HeaderMap) -> Result<bool, Fault> {
    let mut said = headers.get_all(HEADER).iter().map(http::HeaderValue::as_bytes);
    let first = said.next();
    match first {
        None | Some(b"false") if said.next().is_none() => Ok(false),
        Some(b"true") if said.next().is_none() => Ok(true),
        _ => Err(Fault::validation(format!("{HEADER} must be true or false, once"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_dry_where_the_header_says_so_and_nothing_else_can_be() {
        let told = |said: &[&str], operation| {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(HEADER, value.parse().unwrap());
            }
            asked(&headers, operation).map_err(|fault| fault.message().to_owned())
        };
        for turn in ["InvokeAgent", "InvokeInlineAgent"] {
            assert_eq!(told(&["true"], turn), Ok(true));
            assert_eq!(told(&["false"], turn), Ok(false));
            assert_eq!(told(&[], turn), Ok(false));
            assert!(told(&["yes"], turn).is_err() && told(&["true", "true"], turn).is_err());
        }
        assert_eq!(told(&["false"], "DeleteAgent"), Ok(false));
        let refused = told(&["true"], "DeleteAgent").unwrap_err();
        assert!(refused.ends_with("DeleteAgent was not done"), "{refused}");
    }
}
