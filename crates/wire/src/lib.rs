//! The AWS wire: shapes, codecs and validation, driven by tables that codegen makes from AWS's models.
//!
//! Bytes become a [`Value`] by table and are validated before anybody sees them; generated structs
//! give operations typed access. Nothing here knows what an operation does.

pub mod converse;
pub mod fault;
pub mod model;
pub mod value;
