//! The one HTTP client: everything that leaves for another machine, or another process, goes out here.
//!
//! A caller hands over a whole request and a time limit and gets a response whose body streams. What
//! it may rely on is the error: [`Error::NotSent`] means that not one byte of the request can have
//! reached the peer, or that the peer says by HTTP/2 that it did not look at it, so that even an
//! effect that must happen once may be tried again; everything after that point is [`Error::Lost`].
//! When in doubt it is Lost.
//!
//! A peer that speaks TLS chooses HTTP/2 or HTTP/1.1 (ALPN), or HTTP/1.1 after all when it refuses a
//! request over HTTP/2 for that; without TLS it is HTTP/1.1.
//!
//! No proxy variables are read, no redirect is followed unless the caller asks for it, no failed
//! request is repeated unless it provably never left. Where a URL comes from somebody else, a guard
//! (`egress`) says whom the client may reach.

mod body;
mod client;
mod dial;
mod door;
pub mod egress;
mod error;
mod limits;
mod link;
mod pool;
mod redirect;
mod secret;
mod shared;
pub mod sigv4;
mod trust;

pub use body::Body;
pub use client::{Client, Config, Patience};
pub use egress::Egress;
pub use error::Error;
pub use redirect::redirect_target;
pub use secret::Secret;
pub use shared::KeepAlive;
pub use trust::Roots;
