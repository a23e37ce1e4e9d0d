//! What to do about a turn that failed, by its exception.

use crate::stream::Failure;

pub(super) fn on(failure: &Failure, run: Option<&str>) -> String {
    let seen =
        run.map_or(String::new(), |run| format!("; `craton trace {run}` shows how far it came"));
    let code = match failure {
        Failure::Broken(_) => {
            return format!("a turn that the server took goes on there, after a restart too{seen}");
        }
        Failure::Refused { code, .. } => code,
    };
    // Inside a stream an exception goes by its member's name, which begins in lower case.
    let advice = match code.to_ascii_lowercase().as_str() {
        "accessdeniedexception" => {
            "the keys of AWS_ACCESS_KEY_ID may not do this; see docs/access.md"
        }
        "badgatewayexception" | "dependencyfailedexception" => {
            "a model or a tool failed: `craton doctor` tries the providers"
        }
        "conflictexception" => "say it again once the other turn of this session has ended",
        "resourcenotfoundexception" => "the agent or the alias is gone; start the chat again",
        "servicequotaexceededexception" | "throttlingexception" => {
            "too much at once: wait a moment and say it again"
        }
        "validationexception" => "change what the message names and say it again",
        _ => "the reason is in the server's log",
    };
    format!("{advice}{seen}")
}
