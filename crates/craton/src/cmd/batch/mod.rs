//! `craton batch FILE.jsonl --out OUT.jsonl`: sends requests at a rate, and goes on where it was.
//!
//! OUT says what is done: killed at any moment and resumed, every record has one answer. A request
//! that was under way at the kill is sent again under the same `amz-sdk-invocation-id`, by which
//! Craton joins an agent's turn to the one that it has begun. A record's error is its answer; a server
//! that cannot be reached ends the batch instead, and leaves the rest for `--resume`.

mod out;
mod purse;
mod record;
mod send;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use craton_core::cost::Money;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use self::out::Out;
use self::purse::Purse;
use self::record::{Record, Shared};
use self::send::{Sender, Sent};
use crate::endpoint::Endpoint;
use crate::telemetry::{aside, complain};

/// Bytes of one request: several times what Converse takes.
const LINE_BYTES: u64 = 100 << 20;
/// How long one request may take: the longest turn of an agent.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Requests, one to a line: {"recordId", "modelInput"} or {"id", "operation", "input"}.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where answers go, one to a line, as they come.
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Go on with what OUT does not have yet.
    #[arg(long)]
    resume: bool,
    /// At most so many requests, such as 5/s or 100/min. Default: as many as come back.
    #[arg(long, value_name = "N/s|N/min", value_parser = rate)]
    rate: Option<Duration>,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Stop before a request that might bring this batch above so many dollars.
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<Money>,
    /// The model of records that name none.
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// What the modelInput of Bedrock's records is.
    #[arg(long, value_name = "OPERATION", default_value = "InvokeModel")]
    invocation: Invocation,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// AWS: `modelInvocationType` of a batch job.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Invocation {
    #[value(name = "InvokeModel")]
    InvokeModel,
    #[value(name = "Converse")]
    Converse,
}

const EXAMPLES: &str = "\
Ends with 0 if all records have an answer, 1 if some have an error, 2 if the batch broke off.

Examples:
  craton batch in.jsonl --out out.jsonl --model amazon.nova-micro-v1:0 --rate 100/min
  craton batch in.jsonl --out out.jsonl --resume       after a kill, a crash or a broken network

The forms of records: docs/batch.md.";

/// The time from one request to the next.
fn rate(given: &str) -> Result<Duration, String> {
    let wrong = || "give a number by /s or /min, such as 5/s".to_owned();
    let (count, unit) = given.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1.0,
        "min" => 60.0,
        _ => return Err(wrong()),
    };
    let count: f64 = count.parse().map_err(|_| wrong())?;
    if !(count > 0.0 && count.is_finite()) {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds / count).map_err(|_| wrong())
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match super::wait_for(batch(args)) {
        Ok(total) => ExitCode::from(u8::from(total.errors.get() > 0)),
        Err(message) => {
            complain(&message);
            ExitCode::from(2)
        }
    }
}

/// What a batch came to.
#[derive(Default)]
struct Total {
    answered: Cell<usize>,
    errors: Cell<usize>,
    again: Cell<u32>,
    tokens: Cell<(u64, u64)>,
    usd: Cell<f64>,
    unpriced: Cell<usize>,
}

async fn batch(args: &Args) -> Result<Total, String> {
    let count = check(&args.file)?;
    let out = Out::open(&args.out, args.resume)?;
    let before = out.done.len();
    let client = args.endpoint.client("bedrock-runtime")?.patient(PATIENCE);
    let converse = args.invocation == Invocation::Converse;
    let shared = Shared { model: args.model.clone(), converse };
    let sender = Sender::new(client, shared, series(args)?);
    let (total, begun) = (Total::default(), Instant::now());
    let done = out.done.clone();
    let out = RefCell::new(out);
    let purse = args.max_cost.map(Purse::new);
    let pace = Pace { gap: args.rate.unwrap_or_default(), next: Cell::new(None) };
    let records = records(&args.file)?
        .filter(|record| record.as_ref().map_or(true, |record| !done.contains(&record.id)));
    let sent = stream::iter(records).map(|record| {
        let (sender, out, total, pace, purse) = (&sender, &out, &total, &pace, purse.as_ref());
        async move {
            let record = record?;
            let held = match purse {
                Some(purse) => held(purse, sender, &record).await?,
                None => Money::ZERO,
            };
            pace.wait().await;
            let sent = sender.send(&record).await?;
            if let Some(purse) = purse {
                purse.settle(held, cost(&sent, held));
            }
            out.borrow_mut().write(&sent.line.to_string())?;
            total.add(&sent);
            Ok::<(), String>(())
        }
    });
    let ended = sent.buffer_unordered(args.concurrency.into()).try_collect::<Vec<()>>().await;
    summary(&total, count, before, begun.elapsed()).iter().for_each(|line| aside(line));
    ended.map_err(|why| format!("{why}; the answers so far are kept, go on with --resume"))?;
    Ok(total)
}

/// Holds what a record may cost.
async fn held(purse: &Purse, sender: &Sender, record: &Record) -> Result<Money, String> {
    let most = sender.at_most(record).await?;
    purse.hold(most).await.map_err(|left| {
        format!(
            "record {:?} may cost {most}, and {left} are left of --max-cost; give more, or cap its \
             answer by maxTokens (CR0041)",
            record.id
        )
    })?;
    Ok(most)
}

/// What an answer cost, and its most for each attempt of which nobody knows.
fn cost(sent: &Sent, most: Money) -> Money {
    let known = match sent.usd {
        Some(usd) => Money::of_dollars(usd),
        None if sent.is_error => Money::ZERO,
        None => most,
    };
    known + most.times(u64::from(sent.lost))
}

impl Total {
    fn add(&self, sent: &Sent) {
        let more = |cell: &Cell<usize>, by: usize| cell.set(cell.get() + by);
        more(if sent.is_error { &self.errors } else { &self.answered }, 1);
        self.again.set(self.again.get() + sent.again);
        more(&self.unpriced, usize::from(sent.usd.is_none() && !sent.is_error));
        let (input, output) = self.tokens.get();
        self.tokens.set((input + sent.tokens.0, output + sent.tokens.1));
        self.usd.set(self.usd.get() + sent.usd.unwrap_or(0.0));
    }
}

fn summary(total: &Total, all: usize, before: usize, took: Duration) -> Vec<String> {
    let (input, output) = total.tokens.get();
    let mut lines = vec![format!(
        "{all} records: {} answered, {} errors, {before} done before; {} sent again; {:.1} s",
        total.answered.get(),
        total.errors.get(),
        total.again.get(),
        took.as_secs_f64()
    )];
    let unpriced = match total.unpriced.get() {
        0 => String::new(),
        count => format!(", and {count} answers without a known price"),
    };
    lines.push(format!(
        "{input} input and {output} output tokens, ${:.6}{unpriced}",
        total.usd.get()
    ));
    lines
}

/// Lets requests begin so far apart.
struct Pace {
    gap: Duration,
    next: Cell<Option<Instant>>,
}

impl Pace {
    async fn wait(&self) {
        let now = Instant::now();
        let mine = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(Some(mine + self.gap));
        tokio::time::sleep_until(mine.into()).await;
    }
}

/// Reads the whole file before anything is sent: how many records, none twice.
fn check(path: &Path) -> Result<usize, String> {
    let mut seen = HashSet::new();
    for record in records(path)? {
        let id = record?.id;
        if let Some(twice) = seen.replace(id) {
            return Err(format!("{}: two records have the id {twice:?} (CR0045)", path.display()));
        }
    }
    Ok(seen.len())
}

fn records(path: &Path) -> Result<impl Iterator<Item = Result<Record, String>>, String> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|e| format!("{name} cannot be read: {e} (CR0045)"))?;
    let mut reader = BufReader::new(file);
    let mut number = 0;
    Ok(std::iter::from_fn(move || {
        loop {
            number += 1;
            match line(&mut reader).transpose()? {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    // Editors of Windows begin a file with a mark that is no part of its first line.
                    let read = Record::read(text.trim_start_matches('\u{feff}'), number);
                    return Some(read.map_err(|why| format!("{name}: {why} (CR0045)")));
                }
                Err(why) => return Some(Err(format!("{name}: line {number}: {why} (CR0045)"))),
            }
        }
    }))
}

/// A line, however long a line may be.
fn line(reader: &mut BufReader<File>) -> Result<Option<String>, String> {
    let mut text = String::new();
    let length = reader.take(LINE_BYTES).read_line(&mut text).map_err(|e| e.to_string())?;
    if length as u64 == LINE_BYTES && !text.ends_with('\n') {
        return Err(format!("it is longer than {} MB", LINE_BYTES >> 20));
    }
    Ok((length > 0).then_some(text))
}

/// Names this batch, so that what it sends again is known again: its file and where answers go.
fn series(args: &Args) -> Result<String, String> {
    let whole = |path: &Path| {
        std::path::absolute(path).map_err(|e| format!("{}: {e} (CR0023)", path.display()))
    };
    let made = std::fs::metadata(&args.out).and_then(|out| out.created()).ok();
    let made = made.and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
    let names = (whole(&args.file)?, whole(&args.out)?, made);
    let sum = Sha256::digest(format!("{names:?}").as_bytes());
    Ok(sum[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_by_seconds_or_minutes() {
        assert_eq!(rate("5/s"), Ok(Duration::from_millis(200)));
        assert_eq!(rate("120/min"), Ok(Duration::from_millis(500)));
        for wrong in ["5", "0/s", "-1/s", "x/s", "5/h", "inf/s", "1e-300/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
