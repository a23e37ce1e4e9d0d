//! HTTP in and out: bytes of a socket become a call of an operation, and its answer bytes again.
//!
//! A request goes through `server` (connections, HTTP/1.1 and h2c), `origin` (is it meant for us),
//! `route` (which operation), `body` (bounded), `auth` and `sigv4` (who, and may they), wire's
//! decoder, the operation's function in `api`, wire's encoder, and `stream` where the answer is an
//! event stream. `admin` is Craton's own door. Nothing here knows what an operation does.

#![expect(dead_code, reason = "the listener that uses all this follows")]

mod auth;
mod config;
mod limits;
mod origin;
mod sigv4;

pub use config::{Config, ConfigError, Key};
