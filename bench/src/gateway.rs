//! What stands between a client and its model: Craton's Converse beside gateways that do the same
//! for OpenAI's chat completions, all over the same model that answers at once.
//!
//! Rounds are interleaved, and the model is asked directly in each, so that what a gateway adds is a
//! difference within one run. A stream is measured to its first byte and to its last.

mod peer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::http1::Link;
use crate::report::{self, median, quantile, round};
use crate::{Error, limits, process};
use peer::{Gateway, Peer};

#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Args {
    /// The binary to measure.
    #[arg(long)]
    pub(super) craton: PathBuf,
    /// Where data directories are made.
    #[arg(long, default_value = "target")]
    pub(super) dir: PathBuf,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Who is measured beside the model itself.
    #[arg(long, value_delimiter = ',', default_value = "craton,tensorzero,portkey,litellm")]
    peers: Vec<Peer>,
    /// The Python that has tensorzero and litellm.
    #[arg(long)]
    pub(super) tensorzero: Option<PathBuf>,
    #[arg(long)]
    pub(super) litellm: Option<PathBuf>,
    /// The folder where npm has installed Portkey's gateway.
    #[arg(long)]
    pub(super) portkey: Option<PathBuf>,
}

/// Requests in flight at once.
const CONCURRENCIES: [usize; 3] = [1, 16, 64];

/// How the model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Whole,
    /// In pieces that are all there at once.
    Stream,
    /// In pieces with a pause before each.
    Steady,
}

/// One way of asking one peer.
#[derive(Debug, Clone, Serialize)]
struct Figures {
    bench: &'static str,
    peer: &'static str,
    answer: Answer,
    concurrency: usize,
    /// 0 for the medians of all rounds.
    round: u32,
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
    first_p50_us: f64,
    cpu_us: f64,
    rss_mb: f64,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let world = peer::world().await?;
    let mut gateways = vec![Gateway::direct(&world)];
    let folder = tempfile::tempdir_in(&args.dir)?;
    for peer in &args.peers {
        gateways.push(Gateway::start(*peer, &args, world.address, folder.path()).await?);
    }
    let mut all = Vec::new();
    for round in 1..=args.rounds {
        for (answer, concurrency) in ways() {
            for gateway in gateways.iter().filter(|gateway| gateway.speaks(answer)) {
                let figures = measure(gateway, answer, concurrency, args.seconds).await?;
                all.push(Figures { round, ..figures });
                report::print(&all[all.len() - 1]);
            }
        }
    }
    for (answer, concurrency) in ways() {
        for gateway in gateways.iter().filter(|gateway| gateway.speaks(answer)) {
            report::print(&medians(&all, gateway.name, answer, concurrency)?);
        }
    }
    compare(&all, &gateways)
}

fn ways() -> impl Iterator<Item = (Answer, usize)> {
    let at_once = [Answer::Whole, Answer::Stream];
    let at_once = at_once.into_iter().flat_map(|answer| CONCURRENCIES.map(|many| (answer, many)));
    at_once.chain([(Answer::Steady, CONCURRENCIES[0])])
}

async fn measure(
    gateway: &Gateway,
    answer: Answer,
    concurrency: usize,
    seconds: f64,
) -> Result<Figures, Error> {
    drive(gateway, answer, concurrency, limits::WARM_UP.as_secs_f64() / 2.0).await?;
    let cpu = process::cpu_millis(gateway.id())?;
    let began = Instant::now();
    let (mut whole, mut first) = drive(gateway, answer, concurrency, seconds).await?;
    let took = began.elapsed().as_secs_f64();
    let asked = whole.len() as f64;
    let cpu = (process::cpu_millis(gateway.id())? - cpu) * 1e3 / asked;
    whole.sort_by(f64::total_cmp);
    first.sort_by(f64::total_cmp);
    Ok(Figures {
        bench: "gateways",
        peer: gateway.name,
        answer,
        concurrency,
        round: 0,
        per_s: (asked / took).round(),
        p50_us: round(quantile(&whole, 0.5)),
        p99_us: round(quantile(&whole, 0.99)),
        first_p50_us: round(quantile(&first, 0.5)),
        cpu_us: round(cpu),
        rss_mb: round(process::rss_mb(gateway.id())?),
    })
}

/// Microseconds to the last byte and to the first, of each answer.
async fn drive(
    gateway: &Gateway,
    answer: Answer,
    concurrency: usize,
    seconds: f64,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let workers: Vec<_> = (0..concurrency)
        .map(|_| tokio::spawn(work(gateway.address, gateway.request(answer), until)))
        .collect();
    let (mut whole, mut first) = (Vec::new(), Vec::new());
    for worker in workers {
        let (more, firsts) = worker.await??;
        whole.extend(more);
        first.extend(firsts);
    }
    Ok((whole, first))
}

async fn work(
    address: SocketAddr,
    ask: peer::Ask,
    until: Instant,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let mut link = Link::open(address).await?;
    let (mut whole, mut first) = (Vec::new(), Vec::new());
    while Instant::now() < until {
        let request = ask.request()?;
        let (began, mut heard, mut body) = (Instant::now(), None, Vec::<Bytes>::new());
        let answer = link.stream(request, |bytes| {
            heard.get_or_insert_with(|| began.elapsed());
            body.push(bytes);
            Ok(())
        });
        let answered = tokio::time::timeout(limits::INVOCATION, answer).await;
        answered.map_err(|_| format!("no answer after {:?}", limits::INVOCATION))??;
        let took = began.elapsed();
        ask.check(&body.concat())?;
        whole.push(took.as_secs_f64() * 1e6);
        first.push(heard.unwrap_or(took).as_secs_f64() * 1e6);
    }
    Ok((whole, first))
}

fn medians(
    all: &[Figures],
    peer: &'static str,
    answer: Answer,
    concurrency: usize,
) -> Result<Figures, Error> {
    let of: Vec<&Figures> = all
        .iter()
        .filter(|f| f.peer == peer && f.answer == answer && f.concurrency == concurrency)
        .collect();
    let mid = |figure: fn(&Figures) -> f64| {
        median(&mut of.iter().map(|figures| figure(figures)).collect::<Vec<_>>())
    };
    let any = (*of.first().ok_or("nothing was measured")?).clone();
    Ok(Figures {
        round: 0,
        per_s: mid(|f| f.per_s),
        p50_us: mid(|f| f.p50_us),
        p99_us: mid(|f| f.p99_us),
        first_p50_us: mid(|f| f.first_p50_us),
        cpu_us: mid(|f| f.cpu_us),
        rss_mb: mid(|f| f.rss_mb),
        ..any
    })
}

/// What each gateway adds to the model alone, and Craton's rate over the others'.
fn compare(all: &[Figures], gateways: &[Gateway]) -> Result<(), Error> {
    for gateway in &gateways[1..] {
        for (answer, _) in ways().filter(|(answer, many)| *many == 1 && gateway.speaks(*answer)) {
            let direct = medians(all, gateways[0].name, answer, 1)?;
            let through = medians(all, gateway.name, answer, 1)?;
            println!(
                "ADDED {} {answer:?} p50=+{:.0}us first=+{:.0}us whole/direct={:.2}",
                gateway.name,
                through.p50_us - direct.p50_us,
                through.first_p50_us - direct.first_p50_us,
                through.p50_us / direct.p50_us,
            );
        }
    }
    let Some(ours) = gateways.iter().find(|gateway| gateway.name == "craton") else {
        return Ok(());
    };
    for other in gateways.iter().filter(|gateway| gateway.name != ours.name) {
        for (answer, concurrency) in ways().filter(|(answer, _)| other.speaks(*answer)) {
            let craton = medians(all, ours.name, answer, concurrency)?.per_s;
            let theirs = medians(all, other.name, answer, concurrency)?.per_s;
            println!("RATIO craton/{}@{concurrency} {answer:?} {:.2}", other.name, craton / theirs);
        }
    }
    Ok(())
}
