//! The comparison: every peer in every round at every concurrency, interleaved, then medians.
//!
//! Rounds go A B C A B C, because a machine's mood lasts longer than one measurement. A probe of
//! the disk stands before and after each: on some machines a sync takes forty times as long once
//! all cores are busy, and then that is all one measures.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Serialize;
use serde_json::json;

use crate::peer::{Peer, Subject, free_address};
use crate::process::{self, Running};
use crate::report::{self, Sample, round};
use crate::syncs::Counting;
use crate::{Error, cold, craton, disk, limits};

const CONCURRENCIES: [usize; 3] = [1, 16, 64];

#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Args {
    /// The binary to measure.
    #[arg(long)]
    pub(crate) craton: Option<PathBuf>,
    /// A Python that has the peers' libraries.
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
    #[arg(long, default_value = "bench/peers/libraries.py")]
    pub(crate) peers_script: PathBuf,
    /// Where data directories are made; the disk that is measured.
    #[arg(long, default_value = "target")]
    pub(crate) dir: PathBuf,
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "floor,craton,langgraph-sqlite,craton-read,craton-python,langgraph-postgres,\
                         openai-agents-sqlite,strands"
    )]
    pub(crate) peers: Vec<Peer>,
}

/// What all rounds share.
pub(crate) struct Bench {
    pub(crate) args: Args,
    pub(crate) world: SocketAddr,
    /// The fastest probe so far: what this disk can do when nobody disturbs.
    idle_sync_us: Cell<f64>,
    outside: Running,
}

#[derive(Serialize)]
struct Syncs {
    bench: &'static str,
    peer: &'static str,
    concurrency: usize,
    syncs_per_invocation: f64,
    awaited_commits_per_invocation: Option<usize>,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let bench = Bench::start(args).await?;
    report::print(&json!({
        "bench": "agent-loop", "cores": std::thread::available_parallelism()?.get(),
        "seconds": bench.args.seconds, "rounds": bench.args.rounds,
    }));
    let mut samples = Vec::new();
    for round in 1..=bench.args.rounds {
        for peer in bench.args.peers.clone() {
            samples.extend(bench.round(peer, round).await?);
        }
    }
    for peer in bench.args.peers.clone() {
        bench.count_syncs(peer).await?;
    }
    if bench.args.peers.contains(&Peer::Craton) {
        cold::measure(&bench.craton(craton::Tool::Url(None))?, &bench.args.dir).await?;
    }
    let samples: Vec<Sample> = samples.into_iter().map(|sample| bench.judged(sample)).collect();
    let medians = all_medians(&bench.args.peers, &samples);
    medians.iter().for_each(report::print);
    let void = samples.iter().filter(|sample| sample.void).count();
    report::print(&json!({
        "bench": "agent-loop", "samples": samples.len(), "void": void,
        "idle_sync_us": bench.idle_sync_us.get(),
    }));
    println!("{}", ratios(&medians));
    Ok(())
}

impl Bench {
    async fn start(args: Args) -> Result<Bench, Error> {
        std::fs::create_dir_all(&args.dir)?;
        let world = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["world", "--listen", &world.to_string()]).stderr(Stdio::inherit());
        let running = Running::start(&mut command)?;
        Ok(Bench { args, world, idle_sync_us: Cell::new(f64::INFINITY), outside: running })
    }

    pub(crate) fn craton(&self, tool: craton::Tool) -> Result<craton::Setup, Error> {
        let binary = self.args.craton.clone().ok_or("craton needs --craton")?;
        Ok(craton::Setup { binary, listen: free_address()?, world: self.world, tool })
    }

    /// One peer, started afresh on an empty data directory.
    async fn round(&self, peer: Peer, number: usize) -> Result<Vec<Sample>, Error> {
        let dir = tempfile::tempdir_in(&self.args.dir)?;
        let mut subject = Subject::start(self, peer, dir.path()).await?;
        subject.warm_up().await?;
        let mut samples = Vec::new();
        for concurrency in CONCURRENCIES {
            let before = self.probe()?;
            let cpu = self.cpu(&subject)?;
            let figures = subject.drive(concurrency, self.args.seconds).await?;
            let now = self.cpu(&subject)?;
            let each = |of: usize| round((now[of] - cpu[of]) / figures.invocations as f64);
            let rss_mb = round(process::rss_mb(subject.id())?);
            let after = self.probe()?;
            let sample = Sample {
                bench: "agent-loop",
                peer: peer.name(),
                round: number,
                cpu_ms: each(0),
                world_cpu_ms: each(1),
                client_cpu_ms: each(2),
                figures,
                rss_mb,
                sync_us_before: before,
                sync_us_after: after,
                void: false,
            };
            report::print(&self.judged(sample.clone()));
            samples.push(sample);
        }
        Ok(samples)
    }

    fn probe(&self) -> Result<f64, Error> {
        let micros = disk::append_micros(&self.args.dir)?;
        self.idle_sync_us.set(self.idle_sync_us.get().min(micros));
        Ok(micros)
    }

    /// A sample is void by what is known of the idle disk now, so the last word falls at the end.
    fn judged(&self, sample: Sample) -> Sample {
        let slowest = sample.sync_us_before.max(sample.sync_us_after);
        Sample { void: slowest > limits::VOID * self.idle_sync_us.get(), ..sample }
    }

    /// CPU so far of the subject, the world and the client, in milliseconds.
    fn cpu(&self, subject: &Subject) -> Result<[f64; 3], Error> {
        let ids = [subject.id(), self.outside.id(), std::process::id()];
        let [server, world, client] = ids.map(process::cpu_millis);
        Ok([server?, world?, client?])
    }

    /// Apart from the timed rounds, since whoever counts also disturbs.
    async fn count_syncs(&self, peer: Peer) -> Result<(), Error> {
        let dir = tempfile::tempdir_in(&self.args.dir)?;
        let mut subject = Subject::start(self, peer, dir.path()).await?;
        subject.warm_up().await?;
        for concurrency in [1, 64] {
            let counting = Counting::attach(subject.id(), dir.path()).await?;
            let figures = subject.drive(concurrency, self.args.seconds.min(2.0)).await?;
            let syncs = counting.finish()? as f64;
            report::print(&Syncs {
                bench: "agent-loop-syncs",
                peer: peer.name(),
                concurrency,
                syncs_per_invocation: round(syncs / figures.invocations as f64),
                awaited_commits_per_invocation: peer.awaited(),
            });
        }
        Ok(())
    }
}

fn all_medians(peers: &[Peer], samples: &[Sample]) -> Vec<Sample> {
    let of = |peer: Peer, concurrency: usize| -> Vec<&Sample> {
        let same = |s: &&Sample| s.peer == peer.name() && s.figures.concurrency == concurrency;
        samples.iter().filter(same).collect()
    };
    let cells = peers.iter().flat_map(|peer| CONCURRENCIES.map(|concurrency| (*peer, concurrency)));
    cells.filter_map(|(peer, concurrency)| report::medians(&of(peer, concurrency))).collect()
}

/// The one line that a release is held to. A peer that was left out has no ratio.
fn ratios(medians: &[Sample]) -> String {
    let find = |peer: Peer, concurrency: usize| {
        let found =
            medians.iter().find(|s| s.peer == peer.name() && s.figures.concurrency == concurrency);
        found.map(|s| &s.figures)
    };
    let ratio = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => format!("{:.2}", a / b),
        _ => "none".to_owned(),
    };
    let per_s = |peer| find(peer, 64).map(|f| f.per_s);
    let p50 = |peer| find(peer, 1).map(|f| f.p50_ms);
    let mut line = format!(
        "RATIO craton/floor@64={} craton/floor-p50@1={}",
        ratio(per_s(Peer::Craton), per_s(Peer::Floor)),
        ratio(p50(Peer::Craton), p50(Peer::Floor)),
    );
    for library in Peer::ALL.into_iter().filter(|peer| matches!(peer, Peer::Library(_))) {
        let over = ratio(per_s(Peer::Craton), per_s(library));
        line.push_str(&format!(" craton/{}@64={over}", library.name()));
    }
    line
}
