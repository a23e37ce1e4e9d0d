//! HTTP in and out: bytes of a socket become a call of an operation, and its answer bytes again.
//!
//! A request goes through `server` (connections, HTTP/1.1 and h2c), `origin` (is it meant for us),
//! `route` (which operation), `body` (bounded), `auth` and `sigv4` (who, and may they), wire's
//! decoder, the operation's function in `api`, wire's encoder, and `stream` where the answer is an
//! event stream. `foreign` refuses AWS's other services, or `forward` passes
//! them on. `admin` is Craton's own door, `page` its pages, `pass` a browser's way in. Nothing here knows what an operation does.

mod admin;
mod answer;
mod auth;
mod bearer;
mod body;
mod call;
mod chunked;
mod config;
mod dry;
mod foreign;
mod forward;
mod limits;
mod origin;
mod page;
mod pass;
mod reading;
mod route;
mod server;
pub mod sigv4;
mod stream;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use tokio::net::TcpListener;

pub use config::{Config, ConfigError, Key};
pub use forward::Forward;

/// Serves until `shutdown` resolves and what is open then has finished, or its time is up.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    engine: Engine,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listen = listener.local_addr()?;
    config.check(listen).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let front = call::Front {
        room: body::Room::new(),
        closing: tokio::sync::watch::Sender::new(false),
        names: origin::Names::new(&config, listen.ip()),
        auth: Arc::new(auth::Auth::new(&config).map_err(io::Error::other)?),
        passes: pass::Passes::default(),
        forwards: forward::Forwards::open(&config.forward).map_err(io::Error::other)?,
        operations: api::ops::find,
        engine,
    };
    let drain = Duration::from_secs(config.drain_seconds);
    server::run(listener, Arc::new(front), drain, shutdown).await
}
