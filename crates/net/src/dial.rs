//! Opens the TCP connection of a request: freely, or by a guard's rules. TLS comes on top and keeps
//! the request's name.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use crate::egress::{Egress, Stream, destination};

#[derive(Clone)]
pub(crate) enum Dial {
    Free(HttpConnector),
    Guarded(Egress),
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl Service<Uri> for Dial {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Dial::Free(tcp) => tcp.poll_ready(cx).map_err(Into::into),
            Dial::Guarded(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Dial::Free(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(
                    async move { Ok(TokioIo::new(Stream::free(connecting.await?.into_inner()))) },
                )
            }
            Dial::Guarded(egress) => {
                let egress = egress.clone();
                Box::pin(async move {
                    let (host, port) = destination(&uri).ok_or("it has no host")?;
                    Ok(TokioIo::new(egress.connect(host, port).await?))
                })
            }
        }
    }
}
