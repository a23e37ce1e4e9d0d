//! What a process prints: one pipe for stdout and stderr, so that their order is kept.
//!
//! A process writes before it answers, so what belongs to a call is in the pipe when its answer
//! arrives: [`Output::take`] reads the pipe to its present end first. Between calls a task reads,
//! so that a talkative process never blocks. Nothing is kept but the last bytes.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::unix::pipe;

use crate::limits::LOG_TAIL_BYTES;

/// The last bytes of a text that grows.
#[derive(Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 4 * LOG_TAIL_BYTES {
            self.0.drain(..self.0.len() - LOG_TAIL_BYTES);
        }
    }

    /// Starts a line of our own, also after a print without a line end.
    pub(crate) fn line(&mut self, line: &str) {
        if self.0.last().is_some_and(|&b| b != b'\n') {
            self.0.push(b'\n');
        }
        self.push(line.as_bytes());
        self.push(b"\n");
    }

    pub(crate) fn append(&mut self, other: &Tail) {
        self.push(&other.0);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.drain(..self.0.len().saturating_sub(LOG_TAIL_BYTES));
        self.0
    }
}

/// The reading end.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Pipe>>);

struct Pipe {
    reader: PipeReader,
    unread: Tail,
    function: String,
}

impl Output {
    /// The output of one process of `function`, and what to give that process as stdout and stderr.
    pub(crate) fn open(function: &str) -> io::Result<(Output, Stdio, Stdio)> {
        let (reader, writer) = io::pipe()?;
        let watched = pipe::Receiver::from_owned_fd(OwnedFd::from(reader.try_clone()?))?;
        let pipe = Pipe { reader, unread: Tail::default(), function: function.to_owned() };
        let output = Output(Arc::new(Mutex::new(pipe)));
        tokio::spawn(follow(watched, output.clone()));
        Ok((output, writer.try_clone()?.into(), writer.into()))
    }

    /// A line of the server's own among what the process prints.
    pub(crate) fn say(&self, line: &str) {
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tracing::debug!(function = pipe.function, "{line}");
        pipe.unread.line(line);
    }

    /// All that was printed since the last time, up to this moment.
    pub(crate) fn take(&self) -> Tail {
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; LOG_TAIL_BYTES];
        // The pipe is non-blocking: it errs when it is empty. Bounded, in case of a flood.
        for _ in 0..64 {
            match pipe.reader.read(&mut buffer) {
                Ok(n) if n > 0 => pipe.absorb(&buffer[..n]),
                Ok(_) | Err(_) => break,
            }
        }
        std::mem::take(&mut pipe.unread)
    }
}

impl Pipe {
    fn absorb(&mut self, bytes: &[u8]) {
        tracing::debug!(function = self.function, "{}", String::from_utf8_lossy(bytes).trim_end());
        self.unread.push(bytes);
    }
}

/// Reads until the last writer has gone.
async fn follow(watched: pipe::Receiver, output: Output) {
    let mut buffer = [0; LOG_TAIL_BYTES];
    while watched.readable().await.is_ok() {
        let mut pipe = output.0.lock().unwrap_or_else(PoisonError::into_inner);
        match watched.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => pipe.absorb(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
