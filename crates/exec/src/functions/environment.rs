//! The environment variables of a process: AWS's documented ones and the function's own.
//!
//! Built from nothing: no variable of the server reaches a handler.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::function::{Function, Surroundings};
use crate::functions::containment::Places;
use crate::functions::report;

/// What a process is told beyond its function and surroundings.
pub(crate) struct Place<'a> {
    pub(crate) runtime_api: SocketAddr,
    /// Of the process, among all of this server.
    pub(crate) number: u64,
    pub(crate) seen: &'a Places,
    /// The folder of the interpreter, if there is one.
    pub(crate) bin: Option<&'a Path>,
}

/// AWS: defined runtime environment variables (Lambda developer guide, "Using environment
/// variables"): the reserved ones win over the function's own, the others give way to them.
pub(crate) fn of(
    function: &Function,
    around: &Surroundings,
    place: &Place<'_>,
    of_runtime: &[(&'static str, String)],
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut put = |name: &str, value: String| env.insert(name.to_owned(), value);
    put("PATH", path(place));
    put("LANG", "en_US.UTF-8".to_owned());
    put("TZ", ":UTC".to_owned());
    if let Some(url) = &around.endpoint_url {
        put("AWS_ENDPOINT_URL", url.clone());
    }
    for (name, value) in of_runtime {
        put(name, value.clone());
    }
    env.extend(function.env.clone());
    env.extend(reserved(function, around, place));
    env
}

fn path(place: &Place<'_>) -> String {
    let usual = "/usr/local/bin:/usr/bin:/bin";
    match place.bin {
        Some(bin) => format!("{}:{usual}", bin.display()),
        None => usual.to_owned(),
    }
}

fn reserved(
    function: &Function,
    around: &Surroundings,
    place: &Place<'_>,
) -> Vec<(String, String)> {
    let mut fields = vec![
        ("_HANDLER", function.handler.clone()),
        ("AWS_REGION", around.region.clone()),
        ("AWS_DEFAULT_REGION", around.region.clone()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", function.version.clone()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream(function, place)),
        ("AWS_LAMBDA_RUNTIME_API", place.runtime_api.to_string()),
        ("LAMBDA_TASK_ROOT", place.seen.code.display().to_string()),
        ("LAMBDA_RUNTIME_DIR", place.seen.runtime.display().to_string()),
    ];
    if !function.runtime.starts_with("provided") {
        // AWS: not defined for functions that bring their own runtime (the same page).
        fields.push(("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", function.runtime)));
    }
    let (access, secret, token) = match &around.credentials {
        Some(keys) => (&keys.access_key, &keys.secret_key, keys.session_token.clone()),
        None => (&around.account, &around.account, None),
    };
    fields.push(("AWS_ACCESS_KEY_ID", access.clone()));
    fields.push(("AWS_SECRET_ACCESS_KEY", secret.clone()));
    fields.extend(token.map(|token| ("AWS_SESSION_TOKEN", token)));
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// AWS: date, version and an id of the execution environment; here the id is its number.
fn log_stream(function: &Function, place: &Place<'_>) -> String {
    let today = report::timestamp()[..10].replace('-', "/");
    format!("{today}/[{}]{:032x}", function.version, place.number)
}
