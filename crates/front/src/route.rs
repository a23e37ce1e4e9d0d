//! Which operation a request asks for: by the service of its credential scope, then by method and
//! path over the models' tables; of the query protocol by `Action` in the form.
//!
//! A path is never normalised: with and without a trailing slash it can be two operations, of two
//! services that share their signing name. Then the client's user agent is heard as well.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use api::Caller;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use wire::fault::Fault;
use wire::model::{Operation, Protocol, SERVICES, Service, State};

use crate::foreign::Foreign;

/// What the head of a request tells.
pub(crate) enum Plan<'a> {
    Operation(Routed),
    /// The form in the body (or the query string) names the operation.
    Form(Option<&'static Service>),
    /// A service of AWS's that Craton does not speak.
    Foreign(Foreign<'a>),
    Unknown,
}

pub(crate) struct Routed {
    pub(crate) service: &'static Service,
    pub(crate) operation: &'static Operation,
    pub(crate) labels: BTreeMap<String, String>,
}

pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// Path and query as they came.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// What stands before a known name in the host, where S3's clients put the bucket.
    pub(crate) bucket: Option<&'a str>,
}

/// `scope` is the credential scope's service, if the request is signed.
pub(crate) fn plan<'a>(scope: Option<&'a str>, head: &Head<'_>) -> Plan<'a> {
    let as_form = head.path == "/" && (is_form(head.headers) || head.query.contains("Action="));
    let Some(scope) = scope else {
        return match as_form {
            true => Plan::Form(None),
            false => by_path_or_beside(None, head),
        };
    };
    match signed_for(scope).next() {
        None => Plan::Foreign(Foreign::signed(scope, head)),
        Some(service) if service.protocol == Protocol::Query => {
            let beside = if as_form { None } else { Foreign::beside(Some(scope), head) };
            beside.map_or(Plan::Form(Some(service)), Plan::Foreign)
        }
        Some(_) => by_path_or_beside(Some(scope), head),
    }
}

fn by_path_or_beside<'a>(scope: Option<&str>, head: &Head<'_>) -> Plan<'a> {
    let ours = by_path(scope, head).filter(|_| !head.headers.contains_key("x-amz-target"));
    if let Some(routed) = ours {
        return Plan::Operation(routed);
    }
    Foreign::beside(scope, head).map_or(Plan::Unknown, Plan::Foreign)
}

fn signed_for(scope: &str) -> impl Iterator<Item = &'static Service> {
    SERVICES.iter().copied().filter(move |service| service.signing == scope)
}

pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    kind.starts_with("application/x-www-form-urlencoded")
}

fn by_path(scope: Option<&str>, head: &Head<'_>) -> Option<Routed> {
    let rest = |service: &&Service| {
        service.protocol == Protocol::RestJson && scope.is_none_or(|s| s == service.signing)
    };
    let mut services: Vec<&'static Service> = SERVICES.iter().copied().filter(rest).collect();
    if let Some(named) = services.iter().copied().find(|service| is_named(service, head.headers)) {
        services = vec![named];
    }
    let found = wire::route::candidates(&services, head.method.as_str(), head.target);
    found.map(|(service, operation, labels)| Routed { service, operation, labels })
}

/// Whether the client's SDK says that it calls this service. On AWS the host tells services of one
/// signing name apart.
// AWS: user agents hold `api/bedrockagent/1.156.0` (SDK for Rust), `api/bedrock-agent#3.1138.0`
// (JavaScript), `api/Bedrock_Agent#2.30.0` (Java); botocore says nothing of the kind
fn is_named(service: &Service, headers: &HeaderMap) -> bool {
    let agents = ["x-amz-user-agent", "user-agent"].iter().filter_map(|name| headers.get(*name));
    let words = agents.filter_map(|value| value.to_str().ok()).flat_map(str::split_whitespace);
    let names = words.filter_map(|word| word.strip_prefix("api/")?.split(['/', '#']).next());
    let letters = |name: &str| -> String {
        let kept = name.chars().filter(char::is_ascii_alphanumeric);
        kept.map(|c| c.to_ascii_lowercase()).collect()
    };
    names.into_iter().any(|name| letters(name) == letters(service.name))
}

/// The operation that a form names, in the query protocol.
pub(crate) fn by_action(service: Option<&'static Service>, form: &[u8]) -> Result<Routed, Fault> {
    let (action, version) = (field(form, "Action"), field(form, "Version"));
    let Some(action) = action else {
        // AWS: common error types
        return Err(Fault::new("MissingAction", 400, "the request has no Action parameter"));
    };
    let version = version.unwrap_or_default();
    let found = service
        .into_iter()
        .chain(SERVICES.iter().copied())
        .find(|service| service.protocol == Protocol::Query && service.api_version == version);
    found
        .filter(|found| service.is_none_or(|service| service.name == found.name))
        .and_then(|service| Some((service, service.operation(&action)?)))
        .map(|(service, operation)| Routed { service, operation, labels: BTreeMap::new() })
        .ok_or_else(|| {
            // AWS: sts and iam (observed)
            let text = format!("Could not find operation {action} for version {version}");
            Fault::new("InvalidAction", 400, text)
        })
}

/// The service of an unsigned form, if it is one that Craton does not speak.
pub(crate) fn foreign_action(
    service: Option<&'static Service>,
    form: &[u8],
) -> Option<Foreign<'static>> {
    let (action, version) = (field(form, "Action")?, field(form, "Version")?);
    if service.is_some() || SERVICES.iter().any(|known| known.api_version == version) {
        return None;
    }
    Foreign::form(&action, &version)
}

/// A field of a form, decoded.
pub(crate) fn field(form: &[u8], name: &str) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    let value: Cow<'_, str> =
        if value.contains('+') { value.replace('+', " ").into() } else { value.into() };
    Some(percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

impl Routed {
    /// The fault of an operation that Craton does not serve.
    pub(crate) fn unserved(&self) -> Option<Fault> {
        let why = match self.operation.state {
            State::Served => return None,
            State::Later if self.operation.name.starts_with("InvokeModel") => {
                "it is planned, not built; Converse and ConverseStream reach the same models"
            }
            State::Later => "it is planned, not built",
            State::Refused(why) => why,
        };
        Some(Fault::not_implemented(self.service.name, self.operation.name, why))
    }

    /// IAM's name of the permission.
    pub(crate) fn action(&self) -> Cow<'static, str> {
        permission(self.service.name, self.service.signing, self.operation.name)
    }

    /// What a call is about, for the message of a denial.
    pub(crate) fn resource<'a>(&'a self, caller: &'a Caller) -> Resource<'a> {
        Resource { routed: self, caller }
    }
}

/// IAM's name of the permission for an operation of ours.
pub(crate) fn permission(service: &str, signing: &str, operation: &str) -> Cow<'static, str> {
    // AWS: where an operation needs the permission of another name (Service Authorization
    // Reference; the Converse and Invoke pages of the API references)
    match (service, operation) {
        ("bedrock-runtime", "Converse" | "StartAsyncInvoke") => "bedrock:InvokeModel".into(),
        ("bedrock-runtime", "ConverseStream") => "bedrock:InvokeModelWithResponseStream".into(),
        ("bedrock-agent-runtime", "RetrieveAndGenerateStream") => {
            "bedrock:RetrieveAndGenerate".into()
        }
        ("lambda", "Invoke" | "InvokeAsync" | "InvokeWithResponseStream") => {
            "lambda:InvokeFunction".into()
        }
        ("lambda", "GetLayerVersionByArn") => "lambda:GetLayerVersion".into(),
        _ => format!("{signing}:{operation}").into(),
    }
}

/// Prints the ARN, as far as the path tells it; spelled out only when somebody reads it.
pub(crate) struct Resource<'a> {
    routed: &'a Routed,
    caller: &'a Caller,
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resource { routed, caller: Caller { account, region, .. } } = self;
        let label = |name: &str| routed.labels.get(name).map(String::as_str);
        if let Some(arn) = routed.labels.values().find(|value| value.starts_with("arn:")) {
            return f.write_str(arn);
        }
        let service = routed.service.signing;
        match (label("FunctionName"), label("agentId"), label("agentAliasId"), label("modelId")) {
            (Some(name), ..) => write!(f, "arn:aws:{service}:{region}:{account}:function:{name}"),
            (_, Some(agent), Some(alias), _) => {
                write!(f, "arn:aws:{service}:{region}:{account}:agent-alias/{agent}/{alias}")
            }
            (_, Some(agent), None, _) => {
                write!(f, "arn:aws:{service}:{region}:{account}:agent/{agent}")
            }
            (.., Some(model)) => write!(f, "arn:aws:{service}:{region}::foundation-model/{model}"),
            _ => f.write_str("*"),
        }
    }
}

/// No operation has that method and path.
pub(crate) fn unknown(head: &Head<'_>) -> Fault {
    // AWS: common error types, status 404
    let text = format!("no operation has {} {}", head.method, head.path);
    Fault::new("UnknownOperationException", 404, text)
}
