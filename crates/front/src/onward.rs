//! Runs a request on the task of its connection, and to its end whatever happens there.
//!
//! A task of its own would be the plain way, but costs each request a hand-over to another thread
//! and back. So the connection polls the request itself; a panic is caught here, and if the
//! connection goes away in the middle, what is left of the request becomes a task and runs on.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Gives what the work gives, or says how it panicked.
pub(crate) struct Onward<T: Send + 'static>(Option<Work<T>>);

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T: Send + 'static> Onward<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Onward(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for Onward<T> {
    type Output = Result<T, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.0.as_mut().expect("nothing polls a future that has ended");
        // What a panic left half done is dropped below and never seen again.
        let ended = match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(done)) => Ok(done),
            Err(panic) => Err(said(panic.as_ref())),
        };
        self.0 = None;
        Poll::Ready(ended)
    }
}

impl<T: Send + 'static> Drop for Onward<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a panic: {}", text.unwrap_or("of no words"))
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let ended = Onward::new(async { panic!("at {}", 7) }).await;
        assert_eq!(ended, Err::<(), _>("a panic: at 7".to_owned()));
    }

    #[tokio::test]
    async fn what_is_left_behind_runs_to_its_end() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let mut onward = Onward::new(async move {
            gone.await.expect("somebody says go");
            done.send("finished").expect("somebody waits");
        });
        std::future::poll_fn(|cx| {
            assert!(Pin::new(&mut onward).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(onward);
        go.send(()).expect("the work waits for it");
        assert_eq!(finished.await, Ok("finished"));
    }
}
