//! A streamed answer: bytes to payloads by its framing, payloads to deltas by its protocol.
//!
//! Dropped before its end, it closes the connection, which is how a client's leaving reaches the
//! provider.

use std::collections::VecDeque;
use std::sync::Arc;

use wire::converse::Delta;

use super::Assemble;
use super::error::{Fault, Origin};
use super::framing::Framing;
use super::secrets::Secrets;
use crate::provider::ModelError;

/// The deltas of a streamed answer, one at a time.
pub(crate) struct Reader<A> {
    body: Option<net::Body>,
    framing: Framing,
    assembler: A,
    ready: VecDeque<Delta>,
    /// What broke the stream, told after the words that came before it.
    failed: Option<ModelError>,
    done: bool,
    origin: Arc<Origin>,
    secrets: Secrets,
}

impl<A: Assemble> Reader<A> {
    pub(crate) fn new(
        body: net::Body,
        framing: Framing,
        assembler: A,
        origin: Arc<Origin>,
        secrets: Secrets,
    ) -> Self {
        Reader {
            body: Some(body),
            framing,
            assembler,
            ready: VecDeque::new(),
            failed: None,
            done: false,
            origin,
            secrets,
        }
    }

    /// `None` after the last delta or the first error.
    pub(crate) async fn next(&mut self) -> Option<Result<Delta, ModelError>> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Some(Ok(super::sane(delta)));
            }
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            let Some(body) = self.body.as_mut().filter(|_| !self.done) else {
                self.retire();
                return None;
            };
            match body.chunk().await {
                Ok(Some(bytes)) => self.absorb(&bytes),
                Ok(None) => self.finish(),
                Err(error) => self.fail(self.origin.net(error)),
            }
        }
    }

    /// The reply is whole; how the connection ends is of no interest to it.
    fn retire(&mut self) {
        if let Some(body) = self.body.take() {
            body.retire();
        }
    }

    fn fail(&mut self, error: ModelError) {
        self.body = None;
        self.failed = Some(error);
    }

    fn absorb(&mut self, bytes: &[u8]) {
        let (mut out, assembler, done) = (Vec::new(), &mut self.assembler, &mut self.done);
        let fed = self.framing.feed(bytes, |data| event(data, assembler, done, &mut out));
        self.ready.extend(out);
        if let Err(fault) = fed {
            self.fail(self.origin.fault(fault, &self.secrets));
        }
    }

    fn finish(&mut self) {
        self.body = None;
        let (mut out, assembler, done) = (Vec::new(), &mut self.assembler, &mut self.done);
        let mut ended = self.framing.end(|data| event(data, assembler, done, &mut out));
        if ended.is_ok() && !*done {
            ended = assembler.broke_off(&mut out);
        }
        self.ready.extend(out);
        if let Err(fault) = ended {
            self.fail(self.origin.fault(fault, &self.secrets));
        }
    }
}

fn event<A: Assemble>(
    data: &[u8],
    assembler: &mut A,
    done: &mut bool,
    out: &mut Vec<Delta>,
) -> Result<(), Fault> {
    if !*done {
        *done = assembler.event(data, out)?;
    }
    Ok(())
}

/// What a stream amounts to that arrives in pieces of `size` bytes.
#[cfg(test)]
pub(crate) fn read<A: Assemble>(
    stream: &str,
    size: usize,
    mut assembler: A,
) -> Result<Vec<Delta>, Fault> {
    let (mut framing, mut out, mut done) = (Framing::default(), Vec::new(), false);
    for piece in stream.as_bytes().chunks(size) {
        framing.feed(piece, |data| event(data, &mut assembler, &mut done, &mut out))?;
    }
    framing.end(|data| event(data, &mut assembler, &mut done, &mut out))?;
    if !done {
        assembler.broke_off(&mut out)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every event is a word, but for one that is not JSON.
    struct Words;

    impl Assemble for Words {
        fn event(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<bool, Fault> {
            let text = serde_json::from_slice(data).map_err(|e| Fault::Malformed(e.to_string()))?;
            out.push(Delta::Text { index: 0, text });
            Ok(false)
        }

        fn whole(self, _: &[u8]) -> Result<Vec<Delta>, Fault> {
            Ok(Vec::new())
        }

        fn broke_off(&mut self, _: &mut Vec<Delta>) -> Result<(), Fault> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn words_that_came_with_an_error_are_heard_before_it() {
        let origin =
            Origin { provider: "p".to_owned(), base_url: "http://p".to_owned(), key: None };
        let mut reader = Reader {
            body: None,
            framing: Framing::default(),
            assembler: Words,
            ready: VecDeque::new(),
            failed: None,
            done: false,
            origin: Arc::new(origin),
            secrets: Secrets::default(),
        };
        reader.absorb(b"data: \"half\"\n\ndata: broken\n\n");
        let first = reader.next().await;
        assert!(matches!(first, Some(Ok(Delta::Text { text, .. })) if text == "half"));
        assert!(matches!(reader.next().await, Some(Err(_))));
        assert!(reader.next().await.is_none());
    }
}
