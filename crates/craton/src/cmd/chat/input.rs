//! What the person types, or a pipe holds, line by line.
//!
//! A thread reads, because a terminal cannot be waited for in any other way; it ends with the
//! process. At a terminal lines can be edited and called back.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::sync::mpsc;

use rustyline::error::ReadlineError;
use tokio::sync::oneshot;

use super::limits::LINE_BYTES;

#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the pipe's end.
    End,
}

type Answer = Result<Line, String>;

struct Ask {
    prompt: String,
    answer: oneshot::Sender<Answer>,
}

pub(super) struct Input {
    /// Whether a person types at a terminal.
    person: bool,
    asks: Option<mpsc::Sender<Ask>>,
    /// A line that was read too soon.
    back: Option<String>,
}

impl Input {
    pub(super) fn new() -> Self {
        let person = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        Input { person, asks: None, back: None }
    }

    pub(super) fn is_person(&self) -> bool {
        self.person
    }

    /// The line is the next one again.
    pub(super) fn put_back(&mut self, line: String) {
        self.back = Some(line);
    }

    pub(super) async fn line(&mut self, prompt: &str) -> Answer {
        if let Some(line) = self.back.take() {
            return Ok(Line::Text(line));
        }
        let person = self.person;
        let asks = self.asks.get_or_insert_with(|| {
            let (asks, asked) = mpsc::channel();
            std::thread::spawn(move || if person { edit(&asked) } else { read(&asked) });
            asks
        });
        let (answer, answered) = oneshot::channel();
        if asks.send(Ask { prompt: prompt.to_owned(), answer }).is_err() {
            return Ok(Line::End);
        }
        tokio::select! {
            answer = answered => answer.unwrap_or(Ok(Line::End)),
            // At a terminal the editor takes the key itself.
            _ = tokio::signal::ctrl_c() => Ok(Line::Interrupted),
        }
    }
}

fn edit(asked: &mpsc::Receiver<Ask>) {
    let Ok(mut editor) = rustyline::DefaultEditor::new() else { return read(asked) };
    for Ask { prompt, answer } in asked {
        let line = match editor.readline(&prompt) {
            Ok(line) => {
                // A line that is not kept in the history is no harm.
                let _ = editor.add_history_entry(&line);
                Ok(Line::Text(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(format!("the terminal cannot be read: {error} (CR0023)")),
        };
        let _ = answer.send(line);
    }
}

fn read(asked: &mpsc::Receiver<Ask>) {
    for Ask { answer, .. } in asked {
        let _ = answer.send(next_line());
    }
}

fn next_line() -> Answer {
    let mut line = Vec::new();
    let read = std::io::stdin().lock().take(LINE_BYTES + 1).read_until(b'\n', &mut line);
    let read = read.map_err(|e| format!("standard input cannot be read: {e} (CR0023)"))?;
    if read as u64 > LINE_BYTES {
        return Err(format!(
            "a line of more than {LINE_BYTES} bytes; an agent takes no longer one (CR0031)"
        ));
    }
    if read == 0 {
        return Ok(Line::End);
    }
    let line =
        String::from_utf8(line).map_err(|_| "a line is not UTF-8; convert the input (CR0031)")?;
    Ok(Line::Text(line.trim_end_matches(['\r', '\n']).to_owned()))
}
