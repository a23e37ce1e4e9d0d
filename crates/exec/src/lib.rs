//! Acts outside: functions in processes of their own or on AWS, and tools behind HTTP.
//!
//! The engine hands over an event and gets an [`Invoked`] back, or an
//! [`ExecError`] that says whether repeating is safe. Functions are warm processes that
//! speak the published Lambda Runtime API with a small HTTP server here, whether Python, Node or a
//! program of the package's own starts them. Nothing here decides whether a call should happen, and
//! nothing here is durable: the engine's journal is.

mod aws_lambda;
mod buckets;
mod config;
mod function;
mod functions;
mod http;
#[allow(unsafe_code, reason = "walls are system calls that no safe library has")]
pub mod jail;
pub mod limits;
mod mcp;
mod probe;

pub use aws_lambda::{AwsAccount, AwsCall, AwsConfig, AwsLambda};
pub use buckets::{BucketError, Buckets};
pub use config::{Config, Isolation, MinIsolation, Mount, Names};
pub use function::{
    CodeError, Credentials, ExecError, Function, FunctionError, Invocation, Invoked, Surroundings,
    Throttled, Times,
};
pub use functions::{Functions, refusal, refused_hosts};
pub use http::api::{Api, ApiCall, ApiReply};
pub use http::apis::Apis;
pub use http::config::{ApiConfig, ClientAuth, Credential, KeyPlace, Oauth2};
pub use http::hook::HttpTool;
pub use http::webhook::{Webhook, WebhookConfig};
pub use mcp::{McpCall, McpConfig, McpServers, McpTool};
pub use probe::{Probe, probe};
