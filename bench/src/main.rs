//! Measures Craton beside its peers, over the wire that its clients use.
//!
//! `world` is the model and the tools that every peer works with, `floor` the least that this
//! design can cost, `load` the client. `agent_loop` puts them together: it starts the peers in
//! turn, drives them, reads what they used, and prints a line of JSON per measurement. Nothing
//! here knows Craton's insides but `policy` and `http_tool`, which measure what no wire shows, and
//! `routing`, which prices what it measured; all else is measured as the process it is.
#![allow(clippy::print_stdout, reason = "figures go to standard output")]

mod agent_loop;
mod cold;
mod craton;
mod disk;
mod floor;
mod functions;
mod gateway;
mod http1;
mod http_tool;
mod journal;
mod limits;
mod load;
mod pace;
mod peer;
mod policy;
mod process;
mod report;
mod routing;
mod sessions;
mod streams;
mod syncs;
mod task;
mod team;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What may go wrong ends the benchmark: a figure from a broken run is worse than none.
type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures Craton beside its peers")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serves the zero-latency model and the tool.
    World {
        #[arg(long, default_value = "127.0.0.1:9900")]
        listen: SocketAddr,
    },
    /// Serves the floor: the same calls and commits as an agent turn, and no agent.
    Floor {
        #[arg(long, default_value = "127.0.0.1:9901")]
        listen: SocketAddr,
        #[arg(long, default_value = "127.0.0.1:9900")]
        world: SocketAddr,
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Invokes an agent in a closed loop and prints what that took.
    Load(load::Args),
    /// Serves a model that streams words at a steady pace for two seconds.
    Pace {
        #[arg(long, default_value = "127.0.0.1:9902")]
        listen: SocketAddr,
        #[arg(long, default_value_t = 100)]
        words: u32,
    },
    /// The whole comparison.
    AgentLoop(agent_loop::Args),
    /// Many streamed turns at once.
    Streams(streams::Args),
    /// A supervisor with two collaborators against the slower of them alone.
    Team(team::Args),
    /// What a tool's policy costs each call.
    Policy,
    /// An HTTP API as a tool against a direct call.
    HttpTool(http_tool::Args),
    /// A long session against a fresh one, and thousands of idle ones.
    Sessions(sessions::Args),
    /// Converse beside gateways to models.
    Gateways(gateway::Args),
    /// What tasks cost on one model, and routed.
    Routing(routing::Args),
    /// Calls of functions, warm, clean and cold.
    Functions(functions::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::World { listen } => single().and_then(|r| r.block_on(world::serve(listen))),
        Verb::Floor { listen, world, data_dir } => {
            threads().and_then(|r| r.block_on(floor::serve(listen, world, &data_dir)))
        }
        Verb::Load(args) => single().and_then(|r| r.block_on(load::run(&args))),
        Verb::Pace { listen, words } => {
            single().and_then(|r| r.block_on(pace::serve(listen, words)))
        }
        Verb::Streams(args) => single().and_then(|r| r.block_on(streams::run(args))),
        Verb::Team(args) => single().and_then(|r| r.block_on(team::run(args))),
        Verb::Sessions(args) => single().and_then(|r| r.block_on(sessions::run(args))),
        Verb::Functions(args) => single().and_then(|r| r.block_on(functions::run(args))),
        Verb::Gateways(args) => single().and_then(|r| r.block_on(gateway::run(args))),
        Verb::Routing(args) => single().and_then(|r| r.block_on(routing::run(args))),
        Verb::Policy => policy::run(),
        Verb::HttpTool(args) => threads().and_then(|r| r.block_on(http_tool::run(args))),
        Verb::AgentLoop(args) => single().and_then(|r| r.block_on(agent_loop::run(args))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// World and client take one thread each: the machine's cores are for what is measured.
fn single() -> Result<tokio::runtime::Runtime, Error> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// As many workers as `craton up` has.
fn threads() -> Result<tokio::runtime::Runtime, Error> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
