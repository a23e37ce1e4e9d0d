//! Acts outside: functions in processes of their own, and tools behind HTTP.
//!
//! The engine hands over an event and gets an [`Invoked`] back, or an
//! [`ExecError`] that says whether repeating is safe. Python functions are warm processes
//! that speak the published Lambda Runtime API with a small HTTP server here, so that another
//! runtime is a matter of another bootstrap. Nothing here decides whether a call should happen, and
//! nothing here is durable: the engine's journal is.

mod code;
mod config;
mod environment;
mod function;
mod functions;
mod http_tool;
pub mod limits;
mod logs;
mod pool;
mod process;
mod python;
mod report;
mod runtime_api;

pub use config::Config;
pub use function::{
    CodeError, Credentials, ExecError, Function, FunctionError, Invocation, Invoked, Surroundings,
};
pub use functions::Functions;
pub use http_tool::HttpTool;
