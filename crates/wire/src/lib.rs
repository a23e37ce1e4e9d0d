//! The AWS wire: shapes, codecs and validation, driven by tables that codegen makes from AWS's models.
//!
//! Bytes become a [`value::Value`] by table and are validated before anybody sees them; generated
//! structs give operations typed access: `wire::bedrock_agent::types::CreateAgentRequest`. Nothing
//! here knows what an operation does.
//!
//! In reading order: the dynamic value (`value`) and its typed view (`shape`), the tables (`model`,
//! `gen`), the way in (`route`, `decode`, `validate`), the way out (`encode`, `eventstream`,
//! `fault`, `redact`), AWS's other services (`foreign`), and the tongue spoken inside (`converse`), which is ours and by hand.

pub mod arn;
pub mod converse;
pub mod decode;
pub mod encode;
pub mod eventstream;
pub mod fault;
pub mod foreign;
mod r#gen;
pub mod limits;
pub mod load;
pub mod model;
mod pattern;
pub mod redact;
pub mod route;
pub mod shape;
mod time;
pub mod validate;
pub mod value;

pub use r#gen::{bedrock, bedrock_agent, bedrock_agent_runtime, bedrock_runtime, iam, lambda, sts};
