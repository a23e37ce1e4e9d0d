//! Functions of real AWS accounts: an ARN whose account `[aws]` lists is invoked there, signed with
//! the operator's credentials.
//!
//! One request for one call. What AWS answers says whether the function had the event: a refusal
//! means no, a lost or broken answer means that nobody knows. It repeats nothing and reads no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use net::Secret;
use net::sigv4::{Signer, Unsigned};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::function::{ExecError, FunctionError, Invoked, Throttled};
use crate::http::failed;
use crate::http::retry_after;
use crate::limits;

/// `[aws]` of craton.toml: accounts by their twelve digits.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsConfig {
    pub accounts: BTreeMap<String, AwsAccount>,
}

/// An account whose functions are invoked on AWS.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsAccount {
    /// Credentials that may `lambda:InvokeFunction` there.
    pub access_key: Secret,
    pub secret_key: Secret,
    pub session_token: Option<Secret>,
    /// The regions whose functions may be called. Default: any.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Craton's accounts whose agents may call these functions, besides the account itself; in dev
    /// mode any may.
    #[serde(default)]
    pub callers: Vec<String>,
    /// Where to, such as a VPC endpoint. Default: Lambda's own endpoint of the region.
    pub endpoint: Option<String>,
    /// The deadline of one call. Default: 60, as AWS's SDKs wait.
    #[serde(default = "sixty")]
    pub timeout_seconds: u64,
}

fn sixty() -> u64 {
    60
}

impl AwsConfig {
    /// Where calls go, as far as the configuration says it.
    pub fn endpoints(&self) -> impl Iterator<Item = String> {
        self.accounts.values().flat_map(|account| match &account.endpoint {
            Some(endpoint) => vec![endpoint.clone()],
            None => {
                let place = |region| Place { partition: partition(region), region, account: "" };
                let places = account.regions.iter().map(|region| place(region));
                places.filter_map(|place| endpoint(&place, account).ok()).collect()
            }
        })
    }

    /// What no call could use, as a sentence for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        self.accounts.iter().try_for_each(|(id, account)| check(id, account))
    }
}

/// Calls functions on AWS; cheap to clone.
#[derive(Clone)]
pub struct AwsLambda {
    net: net::Client,
    accounts: BTreeMap<String, AwsAccount>,
    /// Dev mode: whoever calls may.
    any_caller: bool,
}

/// One call.
#[derive(Debug, Clone)]
pub struct AwsCall<'a> {
    pub arn: &'a str,
    /// The account of Craton's that calls.
    pub caller: &'a str,
    pub payload: Bytes,
    pub key: Option<&'a str>,
    /// JSON; where there is none, one with the key is made.
    pub client_context: Option<&'a str>,
    /// By which the request is signed.
    pub now_ms: i64,
    /// Goes before the account's own.
    pub timeout: Option<Duration>,
}

/// The parts of a function's ARN that say where to call.
struct Place<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
}

impl AwsLambda {
    pub fn new(net: net::Client, config: AwsConfig, any_caller: bool) -> Self {
        AwsLambda { net, accounts: config.accounts, any_caller }
    }

    /// Whether a function is one of a listed account.
    pub fn has(&self, function: &str) -> bool {
        place(function).is_some_and(|place| self.accounts.contains_key(place.account))
    }

    pub async fn invoke(&self, call: &AwsCall<'_>) -> Result<Invoked, ExecError> {
        let refused = |why: String| ExecError::Refused(format!("function {}: {why}", call.arn));
        let place = place(call.arn).ok_or_else(|| refused("it is no function's ARN".to_owned()))?;
        let account = self.account(&place, call.caller).map_err(refused)?;
        let request = self.request(call, &place, account).map_err(refused)?;
        let timeout = call.timeout.unwrap_or(Duration::from_secs(account.timeout_seconds));
        let began = Instant::now();
        let response = self.net.send(request, timeout).await.map_err(failed)?;
        let (head, body) = Response::into_parts(response);
        let payload = body.bytes(limits::RESPONSE_BYTES).await.map_err(failed)?;
        match head.status.is_success() {
            true => Ok(answered(&head.headers, payload, began.elapsed())),
            false => Err(refusal(call.arn, head.status, &head.headers, &payload)),
        }
    }

    fn account(&self, place: &Place<'_>, caller: &str) -> Result<&AwsAccount, String> {
        let Place { region, account: id, .. } = place;
        let account = self.accounts.get(*id).ok_or_else(|| {
            format!("account {id} is not under [aws.accounts] of the configuration")
        })?;
        if !self.any_caller && caller != *id && !account.callers.iter().any(|may| may == caller) {
            return Err(format!(
                "account {caller} may not call functions of account {id}; add it to \
                 aws.accounts.{id}.callers"
            ));
        }
        if !account.regions.is_empty() && !account.regions.iter().any(|may| may == region) {
            return Err(format!("region {region} is not among aws.accounts.{id}.regions"));
        }
        Ok(account)
    }

    // AWS: path, headers and their meaning as in the API reference of Invoke.
    fn request(
        &self,
        call: &AwsCall<'_>,
        place: &Place<'_>,
        account: &AwsAccount,
    ) -> Result<Request<Bytes>, String> {
        if call.payload.len() > limits::REQUEST_BYTES {
            return Err(format!("{} bytes are too large an event", call.payload.len()));
        }
        let path = format!("/2015-03-31/functions/{}/invocations", call.arn.replace(':', "%3A"));
        let endpoint = endpoint(place, account)?;
        let uri: Uri = format!("{endpoint}{path}").parse().map_err(|e| format!("{e}"))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-amz-invocation-type", HeaderValue::from_static("RequestResponse"));
        headers.insert("x-amz-log-type", HeaderValue::from_static("Tail"));
        if let Some(context) = client_context(call)? {
            headers.insert("x-amz-client-context", context);
        }
        let unsigned = Unsigned {
            method: "POST",
            host: uri.authority().map_or("", |authority| authority.as_str()),
            path: uri.path(),
            query: uri.query().unwrap_or(""),
            headers: &headers,
            body: &call.payload,
        };
        let signature = sign(&unsigned, account, place.region, call.now_ms)?;
        headers.extend(signature);
        let mut request =
            Request::post(uri).body(call.payload.clone()).map_err(|e| e.to_string())?;
        request.headers_mut().extend(headers);
        Ok(request)
    }
}

fn check(id: &str, account: &AwsAccount) -> Result<(), String> {
    if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("aws.accounts.{id} is no account: it has twelve digits"));
    }
    if !(1..=limits::LAMBDA_SECONDS).contains(&account.timeout_seconds) {
        let most = limits::LAMBDA_SECONDS;
        return Err(format!("aws.accounts.{id}.timeout_seconds is not 1 to {most}"));
    }
    let Some(endpoint) = &account.endpoint else { return Ok(()) };
    let uri = endpoint.parse::<Uri>().ok().filter(|uri| {
        uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
    });
    match uri {
        Some(_) => Ok(()),
        None => Err(format!("aws.accounts.{id}.endpoint is no http or https URL: {endpoint}")),
    }
}

/// `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME`, with or without a qualifier. Whatever
/// stands in it becomes part of a host and of a path.
fn place(arn: &str) -> Option<Place<'_>> {
    let mut parts = arn.splitn(7, ':');
    let (head, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let name = parts.next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_$:".contains(&byte);
    let names = [partition, region, account].iter().all(|part| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let whole = (head, service, kind) == ("arn", "lambda", "function")
        && names
        && !name.is_empty()
        && name.len() <= limits::FUNCTION_NAME
        && name.bytes().all(plain);
    whole.then_some(Place { partition, region, account })
}

fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") { "aws-cn" } else { "aws" }
}

/// Without a slash at its end.
fn endpoint(place: &Place<'_>, account: &AwsAccount) -> Result<String, String> {
    if let Some(endpoint) = &account.endpoint {
        return Ok(endpoint.trim_end_matches('/').to_owned());
    }
    // AWS: hosts of Lambda by partition (botocore's endpoint rules of lambda).
    let suffix = match place.partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        other => {
            return Err(format!(
                "the partition {other} is not known; set aws.accounts.{}.endpoint",
                place.account
            ));
        }
    };
    Ok(format!("https://lambda.{}.{suffix}", place.region))
}

/// The idempotency key stands where functions find it on every executor: under `custom`.
fn client_context(call: &AwsCall<'_>) -> Result<Option<HeaderValue>, String> {
    let made = call.key.map(|key| json!({"custom": {"idempotencyKey": key}}).to_string());
    let Some(context) = call.client_context.or(made.as_deref()) else { return Ok(None) };
    if context.len() > limits::CLIENT_CONTEXT {
        let most = limits::CLIENT_CONTEXT;
        return Err(format!("the client context has {} of at most {most} bytes", context.len()));
    }
    let text = STANDARD.encode(context);
    Ok(Some(HeaderValue::from_str(&text).expect("base64 is ASCII")))
}

/// Credentials are read anew for each call, so that those that rotate are followed.
fn sign(
    request: &Unsigned<'_>,
    account: &AwsAccount,
    region: &str,
    now_ms: i64,
) -> Result<HeaderMap, String> {
    let token = account.session_token.as_ref().map(Secret::read).transpose()?;
    let signer = Signer {
        access_key: &account.access_key.read()?,
        secret_key: &account.secret_key.read()?,
        session_token: token.as_deref(),
        region,
        service: "lambda",
    };
    signer.sign(request, now_ms).map_err(|e| e.to_string())
}

// AWS: 200 also where the function failed; then `X-Amz-Function-Error` is there, and the payload
// says what happened (Invoke).
fn answered(headers: &HeaderMap, payload: Bytes, duration: Duration) -> Invoked {
    let error = headers.get("x-amz-function-error").map(|kind| match kind.as_bytes() {
        b"Handled" => FunctionError::Handled,
        _ => FunctionError::Unhandled,
    });
    let log = headers.get("x-amz-log-result").and_then(|log| STANDARD.decode(log).ok());
    Invoked {
        outcome_known: error.is_none() || !broke_off(&payload),
        payload,
        error,
        log_tail: log.unwrap_or_default(),
        duration,
        retry_after: None,
    }
}

/// Whether the sandbox ended while the function had the event, so that nobody knows how far it came.
// AWS: error types and words of Lambda's own (Lambda developer guide, "Troubleshoot execution
// issues"; older runtimes give the words without a type).
fn broke_off(payload: &[u8]) -> bool {
    const TYPES: [&str; 5] = [
        "Sandbox.Timedout",
        "Sandbox.Failure",
        "Runtime.ExitError",
        "Runtime.OutOfMemory",
        "Craton.OutcomeUnknown",
    ];
    const WORDS: [&str; 3] =
        ["Task timed out after", "Process exited before completing", "Runtime exited"];
    let Ok(error) = serde_json::from_slice::<Value>(payload) else { return true };
    match (error["errorType"].as_str(), error["errorMessage"].as_str()) {
        (Some(kind), _) => TYPES.contains(&kind),
        (None, Some(text)) => WORDS.iter().any(|words| text.contains(words)),
        (None, None) => false,
    }
}

/// An answer without an invocation. The model reads AWS's code alone; the log has its words.
fn refusal(arn: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ExecError {
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let named = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
    let code = named.or(said["Type"].as_str().filter(|kind| *kind != "User")).unwrap_or("");
    let code: String = code.chars().take_while(char::is_ascii_alphanumeric).take(100).collect();
    let words = said["message"].as_str().or(said["Message"].as_str()).unwrap_or("");
    tracing::warn!(function = arn, %status, code, words, "AWS did not invoke a function");
    let text = match code.as_str() {
        "" => format!("function {arn}: AWS Lambda answered {status}"),
        code => format!("function {arn}: AWS Lambda answered {code} ({status})"),
    };
    match status.as_u16() {
        429 => ExecError::Throttled(Throttled { message: text, retry_after: retry_after(headers) }),
        408 | 409 | 502 if never_began(&code) => ExecError::NotSent(text),
        // AWS: EFSIOException (410) may come from the function's own files.
        408 | 410 | 500.. => ExecError::Lost(text),
        _ => ExecError::Refused(text),
    }
}

/// The environment was not there or could not be made, so the function has not run.
// AWS: the errors of Invoke with status 408, 409 and 502 (botocore's model of lambda).
fn never_began(code: &str) -> bool {
    const CAUSES: [&str; 11] = [
        "CodeArtifact",
        "EC2",
        "EFSMount",
        "ENI",
        "Invalid",
        "KMS",
        "ResourceConflict",
        "ResourceNotReady",
        "S3FilesMount",
        "SnapStart",
        "Subnet",
    ];
    CAUSES.iter().any(|cause| code.starts_with(cause))
}
