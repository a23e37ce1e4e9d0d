//! What users feel: many turns at once, streamed from a model that takes two seconds.
//!
//! The model's words are times (see `pace`), so each word that arrives tells how long it was under
//! way. The same client hears the model directly first; what Craton adds is the difference.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde_json::json;

use crate::http1::{self, Link};
use crate::peer::free_address;
use crate::process::{self, Running};
use crate::report::{self, quantile, round};
use crate::{Error, craton, limits, load, pace};

#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Args {
    /// The binary to measure.
    #[arg(long)]
    craton: PathBuf,
    /// Where the data directory is made.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// Turns in flight.
    #[arg(long, default_value_t = 1000)]
    streams: usize,
    /// Words of one answer; 100 in two seconds is what a quick model says.
    #[arg(long, default_value_t = 100)]
    words: u32,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// What one way of listening gave.
#[derive(Serialize)]
struct Heard {
    bench: &'static str,
    peer: &'static str,
    streams: usize,
    turns: usize,
    /// From the request to the first word, less the time the model takes for it.
    first_p50_ms: f64,
    first_p99_ms: f64,
    /// Age of a word as it arrives.
    word_p50_ms: f64,
    word_p99_ms: f64,
    words_per_s: f64,
}

#[derive(Serialize)]
struct Server {
    bench: &'static str,
    cpu_ms_per_turn: f64,
    cpu_us_per_word: f64,
    cores: f64,
    rss_mb: f64,
    rss_idle_mb: f64,
}

/// Where the words come from.
#[derive(Clone)]
enum Source {
    Model,
    Agent(String),
}

#[derive(Default)]
struct Ages {
    first: Vec<f64>,
    words: Vec<f64>,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let model = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["pace", "--listen", &model.to_string(), "--words", &args.words.to_string()]);
    let mut pace = Running::start(command.stderr(Stdio::inherit()))?;
    listening(model, &mut pace).await?;
    let direct = listen(&args, model, Source::Model).await?;
    let direct = heard("direct", &args, direct);
    report::print(&direct);

    let dir = tempfile::tempdir_in(&args.dir)?;
    let (binary, listen_on) = (args.craton.clone(), free_address()?);
    let tool = craton::Tool::Url(None);
    let setup = craton::Setup { binary, listen: listen_on, world: model, tool };
    let mut server = setup.start(dir.path())?;
    craton::ready(listen_on, &mut server).await?;
    let agent = craton::deploy(listen_on, tool).await?;
    let rss_idle_mb = round(process::rss_mb(server.id())?);
    let (cpu, began) = (process::cpu_millis(server.id())?, Instant::now());
    let through = listen(&args, listen_on, Source::Agent(agent)).await?;
    let (cpu, took) = (process::cpu_millis(server.id())? - cpu, began.elapsed());
    let rss_mb = round(process::peak_rss_mb(server.id())?);
    let (turns, words) = (through.first.len() as f64, through.words.len() as f64);
    let through = heard("craton", &args, through);
    report::print(&through);
    report::print(&Server {
        bench: "streams-server",
        cpu_ms_per_turn: round(cpu / turns),
        cpu_us_per_word: round(cpu * 1e3 / words),
        cores: round(cpu / 1e3 / took.as_secs_f64()),
        rss_mb,
        rss_idle_mb,
    });
    println!(
        "ADDED first-p50={:.2}ms first-p99={:.2}ms word-p50={:.2}ms word-p99={:.2}ms rss={rss_mb}MB",
        through.first_p50_ms - direct.first_p50_ms,
        through.first_p99_ms - direct.first_p99_ms,
        through.word_p50_ms - direct.word_p50_ms,
        through.word_p99_ms - direct.word_p99_ms,
    );
    Ok(())
}

async fn listening(address: SocketAddr, process: &mut Running) -> Result<(), Error> {
    let deadline = Instant::now() + limits::START;
    while Instant::now() < deadline && !process.ended() {
        if Link::open(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(format!("no answer on {address} within {:?}", limits::START).into())
}

/// Keeps `streams` answers in flight. They begin spread over the length of one, as users do.
async fn listen(args: &Args, address: SocketAddr, source: Source) -> Result<Ages, Error> {
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(args.seconds);
    let workers: Vec<_> = (0..args.streams)
        .map(|worker| {
            let share = worker as f64 / args.streams as f64;
            let (delay, source, words) = (pace::WHOLE.mul_f64(share), source.clone(), args.words);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                work(address, &source, words, until).await
            })
        })
        .collect();
    let mut all = Ages::default();
    for worker in workers {
        let ages = worker.await??;
        all.first.extend(ages.first);
        all.words.extend(ages.words);
    }
    Ok(all)
}

async fn work(
    address: SocketAddr,
    source: &Source,
    words: u32,
    until: Instant,
) -> Result<Ages, Error> {
    let mut link = Link::open(address).await?;
    let mut ages = Ages::default();
    while Instant::now() < until {
        let turn = turn(&mut link, source, words, &mut ages);
        let answered = tokio::time::timeout(limits::INVOCATION, turn).await;
        answered.map_err(|_| format!("no answer after {:?}", limits::INVOCATION))??;
    }
    Ok(ages)
}

/// One answer; fewer words than were said are an error.
async fn turn(link: &mut Link, source: &Source, words: u32, ages: &mut Ages) -> Result<(), Error> {
    let request = match source {
        Source::Model => http1::json("POST", "/v1/chat/completions", Bytes::from("{}"))?,
        Source::Agent(agent) => load::invocation(
            agent,
            "TSTALIASID",
            &json!({
                "inputText": "Speak.", "streamingConfigurations": { "streamFinalResponse": true },
            }),
        )?,
    };
    let (sent, before) = (pace::micros(), ages.words.len());
    let mut reader = Reader::new(source);
    link.stream(request, |bytes| {
        let now = pace::micros();
        for stamp in reader.stamps(&bytes)? {
            if ages.words.len() == before {
                let waited = now.saturating_sub(sent) as f64 / 1e3;
                ages.first.push(waited - pace::FIRST.as_secs_f64() * 1e3);
            }
            ages.words.push(now.saturating_sub(stamp) as f64 / 1e3);
        }
        Ok(())
    })
    .await?;
    let got = ages.words.len() - before;
    if got != words as usize {
        return Err(format!("{got} words arrived of {words}").into());
    }
    Ok(())
}

/// Takes the words out of an answer that comes in pieces.
enum Reader {
    Events { buffer: BytesMut },
    Frames { buffer: BytesMut, decoder: Box<MessageFrameDecoder>, text: String },
}

impl Reader {
    fn new(source: &Source) -> Reader {
        match source {
            Source::Model => Reader::Events { buffer: BytesMut::new() },
            Source::Agent(_) => Reader::Frames {
                buffer: BytesMut::new(),
                decoder: Box::new(MessageFrameDecoder::new()),
                text: String::new(),
            },
        }
    }

    fn stamps(&mut self, bytes: &[u8]) -> Result<Vec<u64>, Error> {
        match self {
            Reader::Events { buffer } => {
                buffer.extend_from_slice(bytes);
                let mut stamps = Vec::new();
                while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                    let event = buffer.split_to(end + 2);
                    let data = event.strip_prefix(b"data: ").unwrap_or_default();
                    if let Ok(chunk) = serde_json::from_slice::<serde_json::Value>(data) {
                        let said = chunk["choices"][0]["delta"]["content"].as_str();
                        stamps.extend(said.and_then(|word| word.parse::<u64>().ok()));
                    }
                }
                Ok(stamps)
            }
            Reader::Frames { buffer, decoder, text } => {
                buffer.extend_from_slice(bytes);
                while let DecodedFrame::Complete(message) = decoder.decode_frame(&mut *buffer)? {
                    text.push_str(&load::chunk_text(&message)?);
                }
                let whole = text.len() - text.len() % pace::DIGITS;
                let words = text.as_bytes()[..whole].chunks(pace::DIGITS);
                let stamps: Result<Vec<u64>, Error> =
                    words.map(|word| Ok(std::str::from_utf8(word)?.parse()?)).collect();
                text.drain(..whole);
                stamps
            }
        }
    }
}

fn heard(peer: &'static str, args: &Args, mut ages: Ages) -> Heard {
    ages.first.sort_by(f64::total_cmp);
    ages.words.sort_by(f64::total_cmp);
    Heard {
        bench: "streams",
        peer,
        streams: args.streams,
        turns: ages.first.len(),
        first_p50_ms: round(quantile(&ages.first, 0.5)),
        first_p99_ms: round(quantile(&ages.first, 0.99)),
        word_p50_ms: round(quantile(&ages.words, 0.5)),
        word_p99_ms: round(quantile(&ages.words, 0.99)),
        words_per_s: round(ages.words.len() as f64 / (args.seconds + pace::WHOLE.as_secs_f64())),
    }
}
