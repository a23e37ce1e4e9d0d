//! Server-sent events: bytes to `data` payloads.

use super::error::Fault;
use crate::limits::EVENT_BYTES;

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
