//! `craton demo`: the support example, in one command and with nothing but this binary.
//!
//! It is the one verb that starts a server: in its own process, on a loopback port, with a data
//! directory that is thrown away. What it deploys is examples/support-agent, which the binary
//! carries; how it deploys and talks is what `craton deploy` and `craton chat` do. The example's tool
//! and its payment desk are Python programs: without Python the person is asked to be the tool.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Parser;
use net::egress::Entry;
use serde_yaml_ng::{Mapping, Value};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::Done;
use super::chat::{Chat, partner};
use super::deploy::{self, Source};
use super::up::Server;
use crate::client::Client;
use crate::config::Config;
use crate::telemetry;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// One turn with this text; its answer alone goes to standard output.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  craton demo                                       the support agent, then a chat with it
  craton demo --message \"Where is my order A-1001?\"   one question, for scripts";

const AGENT_FILE: &str = include_str!("../../../../examples/support-agent/agent.yaml");
const ORDERS: &str = include_str!("../../../../examples/support-agent/functions/orders.py");
const DESK: &str = include_str!("../../../../examples/support-agent/payments.py");

const AGENT: &str = "support";
const ALIAS: &str = "live";
const FUNCTION: &str = "support-orders";
/// The port that every example names, where it is free.
const PORT: u16 = 4747;
/// How long the payment desk may take to say where it listens.
const DESK_START: Duration = Duration::from_secs(20);
/// How long turns may go on once the chat has ended: nobody will read them.
const DRAIN_SECONDS: u64 = 1;

const QUESTIONS: [&str; 3] = [
    "Where is my order A-1001?",
    "Please refund $42.50 for order A-1001",
    "Please refund $620 for order A-1003 because the desk arrived broken",
];

pub(crate) fn run(args: Args) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("the runtime did not start: {e} (CR0023)"))?;
    let home = tempfile::Builder::new().prefix("craton-demo-").tempdir();
    let home = home.map_err(|e| {
        format!(
            "no temporary directory can be made: {e}; set TMPDIR to a directory that can be written \
             (CR0023)"
        )
    })?;
    let done = runtime.block_on(play(args, home.path()));
    runtime.shutdown_timeout(Duration::from_secs(1));
    leave(home, done)
}

/// A demo that went well leaves nothing behind; another leaves what tells why.
fn leave(home: TempDir, done: Done) -> Done {
    match done {
        Ok(()) => {
            telemetry::aside(&format!("the demo's data in {} is deleted", home.path().display()));
            home.close().map_err(|e| format!("the demo's data cannot be deleted: {e} (CR0023)"))
        }
        Err(why) => Err(format!("{why}; data and log are in {} (CR0032)", home.keep().display())),
    }
}

async fn play(args: Args, home: &Path) -> Done {
    telemetry::start_log_in(&home.join("craton.log"))?;
    let listener = listen().await?;
    let address =
        listener.local_addr().map_err(|e| format!("the listener has no address: {e} (CR0023)"))?;
    let endpoint = format!("http://{address}");
    let shop = Shop::open(home).await?;
    let config = shop.config();
    let front = front::Config { drain_seconds: DRAIN_SECONDS, ..config.front(true) };
    let server = Server::open(config, front, listener, &home.join("data")).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    let talked = tokio::select! {
        talked = show(args, home, &endpoint, &shop) => talked,
        () = told_to_stop() => Err("the demo was told to stop".to_owned()),
    };
    drop(stop);
    serving.await.map_err(|e| format!("the server stopped: {e} (CR0023)"))??;
    talked
}

async fn listen() -> Result<TcpListener, String> {
    let listener = match TcpListener::bind(("127.0.0.1", PORT)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await,
    };
    listener.map_err(|e| format!("no port of 127.0.0.1 can be listened on: {e} (CR0009)"))
}

/// Ends the demo in order when its terminal closes or somebody asks for it, so that its programs end
/// too. Ctrl-C is the chat's.
async fn told_to_stop() {
    let (Ok(mut term), Ok(mut hangup)) =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// The example's files, and its payment desk or why there is none.
struct Shop {
    folder: PathBuf,
    desk: Result<Desk, String>,
}

impl Shop {
    async fn open(home: &Path) -> Result<Shop, String> {
        let folder = home.join("support-agent");
        unpack(&folder)
            .map_err(|e| format!("the example cannot be written to {}: {e}", folder.display()))?;
        let desk = Desk::open(&folder).await;
        Ok(Shop { folder, desk })
    }

    /// The function is in a jail, from which the desk must be opened by name.
    fn config(&self) -> Config {
        let mut config = Config::default();
        let url = self.desk.as_ref().map(|desk| desk.url.as_str());
        if let Ok(Ok(desk)) = url.map(Entry::of_url) {
            config.functions.hosts.insert(FUNCTION.to_owned(), vec![desk]);
        }
        config
    }
}

/// Deploys the example and talks with it.
async fn show(args: Args, home: &Path, endpoint: &str, shop: &Shop) -> Done {
    let Shop { folder, desk } = shop;
    let client = Client::new(endpoint);
    let text = match desk {
        Ok(_) => AGENT_FILE.to_owned(),
        Err(_) => by_hand(AGENT_FILE),
    };
    let url = desk.as_ref().map(|desk| desk.url.clone()).ok();
    let variable = |name: &str| if name == "PAYMENTS_URL" { url.clone() } else { None };
    let source = Source { name: "agent.yaml", text: &text, folder, variable: &variable };
    deploy::apply(&client, &source, &|_| {}).await?;
    introduce(endpoint, home, desk);
    let partner = partner::find(&client, AGENT, Some(ALIAS)).await?;
    Chat::new(client, partner, None).hold(args.message, &QUESTIONS).await
}

fn unpack(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder.join("functions"))?;
    std::fs::write(folder.join("agent.yaml"), AGENT_FILE)?;
    std::fs::write(folder.join("functions/orders.py"), ORDERS)?;
    std::fs::write(folder.join("payments.py"), DESK)
}

fn introduce(endpoint: &str, home: &Path, desk: &Result<Desk, String>) {
    let mut lines = vec![
        format!("craton {} serves at {endpoint}, data in {}", env!("CARGO_PKG_VERSION"), home.display()),
        "a shop's support agent is deployed: it looks orders up, refunds them, and asks a person for \
         refunds above $500"
            .to_owned(),
    ];
    match desk {
        Ok(_) => lines.push(
            "real: the server, the Lambda function, the payment desk and its ledger; invented: three \
             orders (A-1001 to A-1003) and the money"
                .to_owned(),
        ),
        Err(why) => lines.push(format!(
            "the function needs Python 3 ({why}), so its calls are handed to you: you are asked what \
             they gave"
        )),
    }
    lines.iter().for_each(|line| telemetry::aside(line));
}

/// The same agent with its function's calls handed to the client.
fn by_hand(agent_file: &str) -> String {
    let mut file: Value = serde_yaml_ng::from_str(agent_file).expect("the example is YAML");
    file.as_mapping_mut().and_then(|file| file.remove("functions"));
    let orders = &mut file["agents"][AGENT]["action_groups"]["orders"];
    orders["executor"] = "return_control".into();
    for tool in orders["tools"].as_mapping_mut().into_iter().flat_map(Mapping::values_mut) {
        // What a person does is done once, by nature.
        tool.as_mapping_mut().and_then(|tool| tool.remove("effect"));
    }
    serde_yaml_ng::to_string(&file).expect("what was read can be written")
}

/// The shop's payment desk, a program of its own that ends with this value.
struct Desk {
    _process: Child,
    url: String,
}

impl Desk {
    /// The error says why Python did not run it.
    async fn open(folder: &Path) -> Result<Desk, String> {
        let mut command = Command::new("python3");
        command.args(["-I", "payments.py", "--port", "0", "--ledger", "ledger.db"]);
        command.current_dir(folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|e| format!("python3: {e}"))?;
        let out = process.stdout.take().expect("it is piped two lines above");
        let mut lines = BufReader::new(out).lines();
        match tokio::time::timeout(DESK_START, lines.next_line()).await {
            Ok(Ok(Some(url))) => Ok(Desk { _process: process, url }),
            Ok(_) => Err("python3 ended at once".to_owned()),
            Err(_) => Err("python3 said nothing".to_owned()),
        }
    }
}
