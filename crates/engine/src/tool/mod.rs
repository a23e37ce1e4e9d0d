//! Tools from the engine's side: what one call is, and the seam to whatever performs it.
//!
//! `request` makes a call's request; `conduct` performs it under its policy, with what `breakers` and
//! `cache` know; `call` reads what comes back, `doubt` finds out what became
//! of it where its reply was lost; `executors` finds what stands behind a
//! function's ARN. Neither decides whether a call should happen: that is core's.

mod api;
mod breakers;
mod cache;
pub(crate) mod call;
pub(crate) mod conduct;
pub(crate) mod doubt;
mod executors;
pub(crate) mod request;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use craton_core::agent::config::Schema;
use craton_core::agent::event::Call;
use craton_core::agent::tool::Tool;
use craton_core::agent::tool::mcp::Listed;
use craton_core::agent::turn::Agent;
use craton_core::policy::ToolPolicy;
use exec::{CodeError, ExecError, Invoked};
use futures_util::future::BoxFuture;
use store::{StoreError, Tenant};

pub use breakers::BreakerView;
pub(crate) use breakers::{Desk, ToolKey};
pub(crate) use cache::Answers;
pub use executors::Executors;

/// One call of a tool or function.
#[derive(Debug, Clone)]
pub struct ToolCall {
    pub tenant: Tenant,
    /// ARN or name of the function.
    pub function: String,
    pub payload: Bytes,
    pub request_id: String,
    pub key: Option<String>,
    pub client_context: Option<String>,
    /// How long it may take, where that is not left to what performs it.
    pub timeout: Option<Duration>,
    /// Of an agent's tool: what an executor needs that takes no Lambda event.
    pub asked: Option<Arc<Asked>>,
}

/// An agent's call as it was decided.
#[derive(Debug)]
pub struct Asked {
    agent: Arc<Agent>,
    pub call: Call,
}

impl Asked {
    /// `None` if the agent has no such tool.
    pub fn new(agent: &Arc<Agent>, call: &Call) -> Option<Arc<Asked>> {
        agent.tool(&call.tool)?;
        Some(Arc::new(Asked { agent: agent.clone(), call: call.clone() }))
    }

    pub fn tool(&self) -> &Tool {
        self.agent.tool(&self.call.tool).expect("`new` found it")
    }

    /// What its action group says of it.
    pub(crate) fn schema(&self) -> &Schema {
        let id = &self.tool().group_id;
        let group = self.agent.config.groups.iter().find(|group| group.id == *id);
        &group.expect("a tool is made from its group").schema
    }
}

/// Why a call did not come back with a payload.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error(
        "there is no function {0}; create it, or map it to a URL under [functions.map] or [apis]"
    )]
    NoFunction(String),
    #[error("the time within which it was to be sent is over")]
    TooLate,
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The seam to whatever performs tools. Simulations put their own world here.
pub trait Tools: Send + Sync {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>>;

    /// What an operator and the function's owner set for a tool behind a function.
    fn policy<'a>(
        &'a self,
        tenant: &'a Tenant,
        function: &'a str,
        tool: &'a str,
    ) -> BoxFuture<'a, Result<ToolPolicy, StoreError>>;

    /// How long a call over the network takes at most, where nothing else is set; `None` where what
    /// performs it has a time-out of its own.
    fn patience(&self, _function: &str) -> Option<Duration> {
        None
    }

    /// True where the function is served by a URL, so that nothing of it runs here.
    fn is_mapped(&self, _function: &str) -> bool {
        false
    }

    /// The memory of a function that runs here, in megabytes; 0 for what runs elsewhere.
    fn memory_mb<'a>(&'a self, _tenant: &'a Tenant, _function: &'a str) -> BoxFuture<'a, u32> {
        Box::pin(std::future::ready(0))
    }

    /// Whether an attempt of a call costs what the price file says.
    fn is_billed(&self, _call: &ToolCall) -> bool {
        true
    }

    /// The MCP server that performs the tools of a function, by its name in the configuration.
    fn mcp_server(&self, _function: &str) -> Option<&str> {
        None
    }

    /// What the MCP server behind a function lists at this moment.
    fn listing<'a>(
        &'a self,
        _tenant: &'a Tenant,
        function: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Listed>, ToolError>> {
        Box::pin(std::future::ready(Err(ToolError::NoFunction(function.to_owned()))))
    }

    /// Checks a package and makes it ready to run. Worlds without packages accept any.
    fn prepare<'a>(
        &'a self,
        _digest: &'a str,
        _zip: Bytes,
    ) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Removes an unpacked package that nobody holds any more. Whoever needs it after all finds it
    /// in the store and unpacks it again.
    fn discard<'a>(&'a self, _digest: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Stops what still runs an earlier state of the function.
    fn forget<'a>(&'a self, _arn: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Shared by the engine and the simulator.
pub type SharedTools = Arc<dyn Tools>;
