//! Where a conversation is shown: live lines on a terminal, plain lines anywhere else.
//!
//! The answer goes to standard output; steps, notes and complaints go to standard error, so that
//! a script that reads the answer reads nothing else. Every text loses its control characters
//! on the way (`telemetry::clean`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::steps::Change;
use crate::telemetry::{aside, clean};

const TICK: Duration = Duration::from_millis(80);

pub(super) struct Screen {
    /// The lines of the steps that run, on a terminal.
    live: Option<Live>,
    began: BTreeMap<usize, Instant>,
    /// Text went out and its line has not ended.
    mid_line: bool,
}

#[derive(Default)]
struct Live {
    lines: MultiProgress,
    running: BTreeMap<usize, ProgressBar>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let live = terminal.then(Live::default);
        Screen { live, began: BTreeMap::new(), mid_line: false }
    }

    pub(super) fn change(&mut self, change: &Change) {
        self.end_line();
        match change {
            Change::Began { step, what } => {
                self.began.insert(*step, Instant::now());
                if let Some(live) = &mut self.live {
                    live.begin(*step, &clean(what));
                }
            }
            Change::Ended { step, what, took, well, said } => {
                let began = self.began.remove(step);
                let clock = || began.map_or(0, |began| began.elapsed().as_millis());
                let millis = took.map_or_else(clock, u128::from);
                let line = ended(&clean(what), millis, *well, &clean(said));
                match &mut self.live {
                    Some(live) => live.end(*step, &line),
                    None => aside(&line),
                }
            }
            Change::Note(text) => self.note(text),
        }
    }

    /// A piece of the answer.
    pub(super) fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(live) = &mut self.live {
            live.clear();
        }
        let mut out = std::io::stdout().lock();
        // A closed pipe is the reader's wish.
        let _ = write!(out, "{}", clean(text)).and_then(|()| out.flush());
        self.mid_line = !text.ends_with('\n');
    }

    pub(super) fn note(&mut self, text: &str) {
        for line in text.lines() {
            self.line(&format!("  · {line}"));
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.end_line();
        self.above(&clean(text));
    }

    /// A call that the person is to perform.
    pub(super) fn call(&mut self, what: &str) {
        self.line(&format!("  → {what}"));
    }

    pub(super) fn complain(&mut self, message: &str) {
        self.line(&format!("  ✗ {message}"));
    }

    pub(super) fn end_turn(&mut self) {
        self.end_line();
        if let Some(live) = &mut self.live {
            live.clear();
        }
        self.began.clear();
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.mid_line) {
            let _ = writeln!(std::io::stdout().lock());
        }
    }

    /// A line that stays, above those that live.
    fn above(&self, line: &str) {
        match &self.live {
            Some(live) => live.lines.suspend(|| aside(line)),
            None => aside(line),
        }
    }
}

impl Live {
    fn begin(&mut self, step: usize, what: &str) {
        let line = self.lines.add(ProgressBar::new_spinner().with_style(style()));
        line.set_message(what.to_owned());
        line.enable_steady_tick(TICK);
        self.running.insert(step, line);
    }

    /// The line of a step that ended stays; those that run go on below it.
    fn end(&mut self, step: usize, line: &str) {
        if let Some(running) = self.running.remove(&step) {
            running.finish_and_clear();
            self.lines.remove(&running);
        }
        self.lines.suspend(|| aside(line));
    }

    fn clear(&mut self) {
        for (_, running) in std::mem::take(&mut self.running) {
            running.finish_and_clear();
            self.lines.remove(&running);
        }
    }
}

fn style() -> ProgressStyle {
    let clock = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{:>6.1} s ", state.elapsed().as_secs_f64());
    };
    ProgressStyle::with_template("  {spinner} {clock} {wide_msg}")
        .expect("the template is written here")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
        .with_key("clock", clock)
}

fn ended(what: &str, millis: u128, well: bool, said: &str) -> String {
    let mark = if well { '✓' } else { '✗' };
    let mut line = format!("  {mark} {millis:>6} ms {what}");
    if !said.is_empty() {
        let _ = write!(line, " → {said}");
    }
    line
}
