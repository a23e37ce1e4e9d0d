//! Where AWS serves a service: its endpoint rules, asked once for each partition.
//!
//! Rules are evaluated as for a plain client (a region, no FIPS, no dual stack, nothing else set),
//! and the answer is kept where it is not the common `PREFIX.REGION.SUFFIX`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

struct Partition {
    name: &'static str,
    global: &'static str,
    suffix: &'static str,
    dual_stack: &'static str,
}

/// A region that no rule treats apart; `{}` takes its place.
const REGION: &str = "zz-any-1";

// AWS: botocore's partitions.json
const PARTITIONS: [Partition; 3] = [
    Partition { name: "aws", global: "us-east-1", suffix: "amazonaws.com", dual_stack: "api.aws" },
    Partition {
        name: "aws-cn",
        global: "cn-northwest-1",
        suffix: "amazonaws.com.cn",
        dual_stack: "api.amazonwebservices.com.cn",
    },
    Partition {
        name: "aws-us-gov",
        global: "us-gov-west-1",
        suffix: "amazonaws.com",
        dual_stack: "api.aws",
    },
];

/// `aws=iam.amazonaws.com@us-east-1,…`: `{}` stands for the region, `@` says which region signs
/// where it is not the client's own.
pub(crate) fn hosts(rules: &Json, prefix: &str) -> String {
    let mut found = Vec::new();
    for partition in &PARTITIONS {
        let Partition { name, suffix, .. } = partition;
        let Some((url, signs)) = resolve(rules, partition) else { continue };
        let host = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let signs = signs.filter(|signs| signs != REGION);
        if host == format!("{prefix}.{REGION}.{suffix}") && signs.is_none() {
            continue;
        }
        let signs = signs.map_or(String::new(), |region| format!("@{region}"));
        found.push(format!("{name}={}{signs}", host.replace(REGION, "{}")));
    }
    found.join(",")
}

/// URL and signing region of a plain client in that region.
fn resolve(rules: &Json, partition: &Partition) -> Option<(String, Option<String>)> {
    let mut scope = Scope::new();
    for (name, parameter) in rules["parameters"].as_object()? {
        if let Some(default) = parameter.get("default") {
            scope.insert(name.clone(), default.clone());
        }
    }
    scope.insert("Region".into(), REGION.into());
    let partition = serde_json::json!({
        "name": partition.name, "dnsSuffix": partition.suffix,
        "dualStackDnsSuffix": partition.dual_stack, "implicitGlobalRegion": partition.global,
        "supportsFIPS": true, "supportsDualStack": true,
    });
    let endpoint = walk(&rules["rules"], &scope, &partition)?;
    Some(endpoint).filter(|(url, _)| url.starts_with("https://"))
}

type Scope = BTreeMap<String, Json>;

fn walk(rules: &Json, scope: &Scope, partition: &Json) -> Option<(String, Option<String>)> {
    for rule in rules.as_array()? {
        let mut scope = scope.clone();
        let conditions = rule["conditions"].as_array()?;
        if !conditions.iter().all(|condition| holds(condition, &mut scope, partition)) {
            continue;
        }
        if rule["type"] == "tree" {
            match walk(&rule["rules"], &scope, partition) {
                None => continue,
                found => return found,
            }
        }
        if rule["type"] == "endpoint" {
            let endpoint = &rule["endpoint"];
            let url = value(&endpoint["url"], &scope, partition)?.as_str()?.to_owned();
            let scheme = &endpoint["properties"]["authSchemes"][0]["signingRegion"];
            let signs = value(scheme, &scope, partition);
            return Some((url, signs.and_then(|signs| Some(signs.as_str()?.to_owned()))));
        }
        return None;
    }
    None
}

fn holds(condition: &Json, scope: &mut Scope, partition: &Json) -> bool {
    let Some(result) = value(condition, scope, partition) else { return false };
    if let Some(name) = condition["assign"].as_str() {
        scope.insert(name.to_owned(), result.clone());
    }
    result != Json::Bool(false)
}

/// `None` for what is not set, and for what a plain client never asks (ARNs, buckets, URLs).
fn value(expression: &Json, scope: &Scope, partition: &Json) -> Option<Json> {
    if let Some(name) = expression["ref"].as_str() {
        return scope.get(name).cloned();
    }
    if let Some(text) = expression.as_str() {
        return Some(filled(text, scope).into());
    }
    let Some(function) = expression["fn"].as_str() else {
        return Some(expression.clone()).filter(|value| !value.is_null());
    };
    let argument = |at: usize| value(&expression["argv"][at], scope, partition);
    match function {
        "isSet" => Some(argument(0).is_some().into()),
        "not" => Some((argument(0)? == Json::Bool(false)).into()),
        "booleanEquals" | "stringEquals" => Some((argument(0)? == argument(1)?).into()),
        "aws.partition" => Some(partition.clone()),
        "getAttr" => argument(0)?.get(argument(1)?.as_str()?).cloned(),
        "isValidHostLabel" => Some(argument(0)?.is_string().into()),
        _ => None,
    }
}

/// `{Region}` and `{PartitionResult#dnsSuffix}` in a text.
fn filled(text: &str, scope: &Scope) -> String {
    let mut rest = text;
    let mut whole = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        let (name, attribute) = name.split_once('#').unwrap_or((name, ""));
        let found = scope.get(name);
        let found = if attribute.is_empty() { found } else { found.and_then(|v| v.get(attribute)) };
        whole.push_str(before);
        whole.push_str(found.and_then(Json::as_str).unwrap_or_default());
        rest = behind;
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn only_what_differs_from_the_common_host_is_kept() {
        let global = |partition: &str, url: &str| {
            serde_json::json!({"conditions": [
                {"fn": "aws.partition", "argv": [{"ref": "Region"}], "assign": "P"},
                {"fn": "stringEquals", "argv": [{"fn": "getAttr", "argv": [{"ref": "P"}, "name"]},
                    partition]}],
                "type": "endpoint", "endpoint": {"url": url, "properties": {"authSchemes": [
                    {"name": "sigv4", "signingRegion": "us-east-1"}]}}})
        };
        let common = serde_json::json!({"conditions": [
            {"fn": "aws.partition", "argv": [{"ref": "Region"}], "assign": "P"},
            {"fn": "not", "argv": [{"fn": "isSet", "argv": [{"ref": "Endpoint"}]}]}],
            "type": "tree", "rules": [{"conditions": [], "type": "endpoint",
                "endpoint": {"url": "https://s.{Region}.{P#dnsSuffix}"}}]});
        let rules = |rules: Vec<serde_json::Value>| {
            serde_json::json!({"parameters": {"UseFIPS":
            {"default": false}}, "rules": rules})
        };
        assert_eq!(hosts(&rules(vec![common.clone()]), "s"), "");
        assert_eq!(
            hosts(&rules(vec![global("aws", "https://s.amazonaws.com"), common.clone()]), "s"),
            "aws=s.amazonaws.com@us-east-1"
        );
        assert_eq!(
            hosts(&rules(vec![common]), "other"),
            "aws=s.{}.amazonaws.com,aws-cn=s.{}.amazonaws.com.cn,aws-us-gov=s.{}.amazonaws.com"
        );
    }
}
