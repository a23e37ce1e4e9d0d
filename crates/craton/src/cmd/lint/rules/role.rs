//! Whether a function's role allows more than its tools need.

use super::super::subject::{Grant, Role, Tool};
use super::super::words::{self, Nature};
use super::{BROAD_ROLE, Finding, Severity};

/// AWS's own policies that allow everything, or whoever has them to give himself everything.
const UNBOUNDED: &[&str] = &["AdministratorAccess", "PowerUserAccess", "IAMFullAccess"];
/// AWS: these work with `*` as their resource only, or mean no harm with it (Service Authorization
/// Reference: actions without resource types).
const RESOURCELESS: &[&str] = &[
    "logs:",
    "xray:",
    "cloudwatch:PutMetricData",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "sts:GetCallerIdentity",
];

pub(super) fn examine(tool: &Tool, found: &mut Vec<Finding>) {
    let Some(role) = &tool.role else { return };
    for name in &role.managed {
        let severity = match () {
            () if UNBOUNDED.contains(&name.as_str()) => Severity::Error,
            () if name.ends_with("FullAccess") => Severity::Warning,
            () => continue,
        };
        let what = format!("its role {} has AWS's policy {name}", role.name);
        let fix = format!(
            "detach {name} from {}; a policy with the actions and ARNs that it needs takes its place",
            role.name
        );
        found.push(tool.finding(&BROAD_ROLE, severity, what, fix));
    }
    for grant in &role.grants {
        if let Some((severity, says)) = breadth(grant) {
            let what = format!("{} of its role {} allows {says}", grant.policy, role.name);
            let fix = format!("in {} of {}: {}", grant.policy, role.name, narrower(grant));
            found.push(tool.finding(&BROAD_ROLE, severity, what, fix));
        }
    }
}

fn breadth(grant: &Grant) -> Option<(Severity, String)> {
    if grant.inverted {
        return Some((
            Severity::Error,
            "everything but what it names (NotAction, NotResource)".to_owned(),
        ));
    }
    if grant.actions.iter().any(|action| action == "*" || action == "*:*") {
        return Some((Severity::Error, "every action (\"*\")".to_owned()));
    }
    let whole =
        grant.actions.iter().find(|action| action.ends_with(":*") && !is_resourceless(action));
    if let Some(action) = whole {
        return Some((Severity::Warning, format!("all of a service ({action:?})")));
    }
    let anywhere = grant.resources.iter().any(|resource| resource == "*");
    let changing = grant.actions.iter().find(|action| !is_resourceless(action) && changes(action));
    match changing {
        Some(action) if anywhere => {
            Some((Severity::Warning, format!("{action} on every resource")))
        }
        _ => None,
    }
}

fn narrower(grant: &Grant) -> String {
    let action = grant.actions.iter().find(|action| !action.contains('*'));
    let action = action.map_or("dynamodb:GetItem", String::as_str);
    format!("\"Action\": [{action:?}, …], \"Resource\": \"arn:aws:…\"")
}

fn is_resourceless(action: &str) -> bool {
    RESOURCELESS.iter().any(|known| action.starts_with(known))
}

/// `dynamodb:PutItem` does, `dynamodb:GetItem` and `s3:List*` do not.
fn changes(action: &str) -> bool {
    let name = action.split_once(':').map_or(action, |(_, name)| name);
    let words = words::of_name(name);
    match words.first().map(String::as_str) {
        None | Some("batch" | "transact") => {
            words.get(1).is_some_and(|word| words::nature_of_word(word) == Nature::Writes)
        }
        Some(verb) => words::nature_of_word(verb) == Nature::Writes,
    }
}

/// An action of the role that changes something beyond logs.
pub(super) fn writes_with(role: &Role) -> Option<&str> {
    let actions = role.grants.iter().flat_map(|grant| &grant.actions);
    let mut changing = actions.filter(|action| !is_resourceless(action));
    changing
        .find(|action| {
            action.ends_with('*') && action.len() < 3 || action.ends_with(":*") || changes(action)
        })
        .map(String::as_str)
}
