//! Server-sent events: bytes to `data` payloads, and payloads to deltas.

use std::collections::VecDeque;
use std::sync::Arc;

use wire::converse::Delta;

use super::Assemble;
use super::error::{Fault, Origin};
use crate::limits::EVENT_BYTES;
use crate::provider::ModelError;

/// Splits a stream of bytes into the `data` of its events. Other fields and comments are skipped.
#[derive(Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    after_return: bool,
}

impl Events {
    /// Takes the next bytes; `each` sees the data of every event they complete.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n' || byte == b'\r') {
            let (text, end) = match piece.split_last() {
                Some((b'\n', text)) => (text, Some(b'\n')),
                Some((b'\r', text)) => (text, Some(b'\r')),
                _ => (piece, None),
            };
            self.line.extend_from_slice(text);
            if self.line.len() + self.data.len() > EVENT_BYTES {
                return Err(Fault::Malformed("an event of the stream is too long".to_owned()));
            }
            // A line ends with \n, \r or \r\n.
            let second_half = self.after_return && text.is_empty() && end == Some(b'\n');
            self.after_return = end == Some(b'\r');
            if end.is_some() && !second_half {
                self.end_line(&mut each)?;
            }
        }
        Ok(())
    }

    /// The end of the stream completes the last event, as many servers leave out its empty line.
    pub(crate) fn end(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.end_line(&mut each)?;
        self.end_line(&mut each)
    }

    fn end_line(&mut self, each: &mut impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return if data.is_empty() { Ok(()) } else { each(&data) };
        }
        if let Some(value) = self.line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
        self.line.clear();
        Ok(())
    }
}

/// The deltas of a streamed answer, one at a time.
pub(crate) struct Reader<A> {
    body: Option<net::Body>,
    events: Events,
    assembler: A,
    ready: VecDeque<Delta>,
    /// What broke the stream, told after the words that came before it.
    failed: Option<ModelError>,
    done: bool,
    origin: Arc<Origin>,
}

impl<A: Assemble> Reader<A> {
    pub(crate) fn new(body: net::Body, assembler: A, origin: Arc<Origin>) -> Self {
        Reader {
            body: Some(body),
            events: Events::default(),
            assembler,
            ready: VecDeque::new(),
            failed: None,
            done: false,
            origin,
        }
    }

    /// `None` after the last delta or the first error.
    pub(crate) async fn next(&mut self) -> Option<Result<Delta, ModelError>> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Some(Ok(delta));
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
        let fed = self.events.feed(bytes, |data| event(data, assembler, done, &mut out));
        self.ready.extend(out);
        if let Err(fault) = fed {
            self.fail(self.origin.fault(fault));
        }
    }

    fn finish(&mut self) {
        self.body = None;
        let (mut out, assembler, done) = (Vec::new(), &mut self.assembler, &mut self.done);
        let mut ended = self.events.end(|data| event(data, assembler, done, &mut out));
        if ended.is_ok() && !*done {
            ended = assembler.broke_off(&mut out);
        }
        self.ready.extend(out);
        if let Err(fault) = ended {
            self.fail(self.origin.fault(fault));
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
    let (mut events, mut out, mut done) = (Events::default(), Vec::new(), false);
    for piece in stream.as_bytes().chunks(size) {
        events.feed(piece, |data| event(data, &mut assembler, &mut done, &mut out))?;
    }
    events.end(|data| event(data, &mut assembler, &mut done, &mut out))?;
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
            events: Events::default(),
            assembler: Words,
            ready: VecDeque::new(),
            failed: None,
            done: false,
            origin: Arc::new(origin),
        };
        reader.absorb(b"data: \"half\"\n\ndata: broken\n\n");
        let first = reader.next().await;
        assert!(matches!(first, Some(Ok(Delta::Text { text, .. })) if text == "half"));
        assert!(matches!(reader.next().await, Some(Err(_))));
        assert!(reader.next().await.is_none());
    }
}
