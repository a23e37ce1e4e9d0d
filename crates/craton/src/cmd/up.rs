//! `craton up`: puts the parts together and serves until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use engine::Engine;
use engine::cassette::stage::StageError;
use engine::env::System;
use engine::tool::{Executors, SharedTools};
use exec::{AwsLambda, Functions, HttpTool, McpServers};
use store::Store;
use tokio::net::TcpListener;

use super::Done;
use crate::config::Config;
use crate::data;
use crate::secrets;
use crate::telemetry::{say, start_log};

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:4747", value_name = "HOST:PORT")]
    listen: String,
    /// Directory of the store and of functions' code. Default: the user's data home.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file. Default: none.
    #[arg(long, value_name = "craton.toml")]
    config: Option<PathBuf>,
    /// Answer clients from a recorded run or session alone: no models, no tools, no store.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_dir", "config"])]
    cassette: Option<PathBuf>,
    /// Accept any credentials; the default on a loopback address without access keys.
    #[arg(long)]
    dev: bool,
}

const EXAMPLES: &str = "\
Examples:
  craton up                                        127.0.0.1:4747, any credentials
  craton up --config craton.toml                   with your providers and access keys
  craton up --data-dir ./data --listen 127.0.0.1:8080
  craton up --cassette run.yaml                    the same answers again, without a model

What `craton doctor` with the same flags finds missing, this would too.";

pub(crate) fn run(args: Args) -> Done {
    start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the runtime did not start: {e} (CR0023)"))?;
    let done = runtime.block_on(serve(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn serve(args: Args) -> Done {
    let config = Config::read(args.config.as_deref())?;
    let listener = TcpListener::bind(&args.listen).await.map_err(|e| {
        format!("cannot listen on {}: {e}; choose another --listen (CR0009)", args.listen)
    })?;
    let address =
        listener.local_addr().map_err(|e| format!("the listener has no address: {e} (CR0023)"))?;
    let dev =
        args.dev || config.dev.unwrap_or_else(|| address.ip().is_loopback() && !config.has_keys());
    let front = config.front(dev);
    front.check(address).map_err(|e| e.to_string())?;
    if let Some(file) = &args.cassette {
        return play(file, front, listener, address).await;
    }
    let data_dir = args.data_dir.unwrap_or_else(data::home);
    let secrets = secrets::known(args.config.as_deref());
    let greeting = greeting(address, &data_dir, dev, &config);
    let server = Server::open(config, front, listener, &data_dir).await?;
    server.engine.hide(secrets);
    greeting.iter().for_each(|line| say(line));
    let left = server.serve(stopped()).await?;
    if left > 0 {
        say(&format!("{left} turns are not done; they go on at the next start"));
    }
    Ok(())
}

/// Answers clients from a cassette.
async fn play(
    file: &Path,
    front: front::Config,
    listener: TcpListener,
    address: SocketAddr,
) -> Done {
    let cassette = super::replay::read(file)?;
    let refused = |error: StageError| format!("{}: {error}", file.display());
    let engine = Engine::on_cassette(&cassette).map_err(refused)?;
    say(&format!("craton {} listens on http://{address}", env!("CARGO_PKG_VERSION")));
    say(&format!("  answers {} runs of {} and nothing else", cassette.runs.len(), file.display()));
    say(&format!("  export AWS_ENDPOINT_URL=http://{address}"));
    let served = front::serve(listener, front, engine, stopped()).await;
    served.map_err(|e| format!("the server stopped: {e} (CR0023)"))
}

/// All that serves, put together on a data directory and a port.
pub(crate) struct Server {
    listener: TcpListener,
    front: front::Config,
    engine: Engine,
    functions: Functions,
    mcp: McpServers,
}

impl Server {
    pub(crate) async fn open(
        config: Config,
        front: front::Config,
        listener: TcpListener,
        data_dir: &Path,
    ) -> Result<Server, String> {
        std::fs::create_dir_all(data_dir).map_err(|e| {
            let dir = data_dir.display();
            format!("cannot make the data directory {dir}: {e}; choose another --data-dir (CR0003)")
        })?;
        let address = listener.local_addr();
        let address = address.map_err(|e| format!("the listener has no address: {e} (CR0023)"))?;
        let (engine, functions, mcp) = assemble(config, front.dev, address, data_dir).await?;
        Ok(Server { listener, front, engine, functions, mcp })
    }

    /// Serves until `stopped`, lets turns under way finish for a while, and returns how many did
    /// not.
    pub(crate) async fn serve(self, stopped: impl Future<Output = ()>) -> Result<usize, String> {
        let Server { listener, front, engine, functions, mcp } = self;
        let drain = Duration::from_secs(front.drain_seconds);
        let served = front::serve(listener, front, engine.clone(), stopped).await;
        let left = engine.drain(drain).await;
        functions.shutdown().await;
        mcp.close();
        served.map_err(|e| format!("the server stopped: {e} (CR0023)"))?;
        Ok(left)
    }
}

async fn assemble(
    config: Config,
    dev: bool,
    address: SocketAddr,
    data_dir: &Path,
) -> Result<(Engine, Functions, McpServers), String> {
    let store = Store::open(data_dir).map_err(|e| e.to_string())?;
    for why in net::Roots::unread() {
        tracing::warn!(%why, "a root named by SSL_CERT_FILE or SSL_CERT_DIR is left out");
    }
    let client = net::Client::new(net::Config::default());
    let models = llm::Models::open(config.models(dev), client)
        .map_err(|e| format!("the configuration is not valid: {e}"))?;
    let gateway = config.gateway();
    gateway
        .check_models(&models)
        .map_err(|e| format!("the configuration is not valid: {e} (CR0002)"))?;
    let (buckets, prices) = (config.buckets(), config.prices()?);
    // All that this file names itself.
    let named = net::Egress::new(config.hooks()?);
    let named = net::Client::guarded(net::Config::default(), named);
    let alerts = config.alerts.settings(named.clone());
    let apis =
        config.apis().map_err(|why| format!("the configuration is not valid: {why} (CR0002)"))?;
    let aws = AwsLambda::new(named.clone(), config.aws, dev);
    let (map, policies) = (config.functions.map.clone(), config.tools);
    let http_timeout = Duration::from_secs(config.functions.http_timeout_seconds);
    let functions = exec::Config { work_dir: data_dir.join("functions"), ..config.functions };
    let functions = Functions::open(functions)
        .map_err(|e| format!("the functions' directory cannot be used: {e} (CR0016)"))?;
    let mcp = McpServers::new(named.clone(), functions.clone(), config.mcp);
    let system = Arc::new(System::default());
    let tools: SharedTools = Arc::new(Executors {
        store: store.clone(),
        functions: functions.clone(),
        http: HttpTool::new(named),
        map,
        aws,
        apis,
        answer_bytes: config.limits.turn.tool_answer_bytes,
        mcp: mcp.clone(),
        policies,
        endpoint: Some(format!("http://{address}")),
        credentials: None,
        http_timeout,
        clock: system.clone(),
    });
    let parts = engine::Parts {
        store,
        models,
        tools,
        buckets,
        prices,
        clock: system.clone(),
        ids: system,
        turn: config.limits.turn,
        limits: config.limits.engine,
        sessions: config.sessions,
        gateway,
        budgets: config.budgets,
        alerts,
    };
    let engine = Engine::start(parts).await.map_err(|e| e.to_string())?;
    Ok((engine, functions, mcp))
}

/// What the terminal shows once everything has opened.
fn greeting(address: SocketAddr, data_dir: &Path, dev: bool, config: &Config) -> Vec<String> {
    let providers = config.provider_names();
    let models = match (providers.is_empty(), dev) {
        (true, true) => "craton.rules for every model id (rules, not a language model)".to_owned(),
        (true, false) => "none: add [providers] and [[models]] to craton.toml".to_owned(),
        (false, _) => providers.join(", "),
    };
    let callers = if dev { "any credentials (dev mode)" } else { "the access keys in craton.toml" };
    let mut lines = vec![
        format!("craton {} listens on http://{address}", env!("CARGO_PKG_VERSION")),
        format!("  data    {}", data_dir.display()),
        format!("  models  {models}"),
        format!("  callers {callers}"),
        "Point your code here:".to_owned(),
        format!("  export AWS_ENDPOINT_URL=http://{address}"),
    ];
    if dev {
        lines.push("  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test".to_owned());
        // AWS: boto3 and the CLI 1 read the second alone, most other SDKs the first.
        lines.push("  export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1".to_owned());
    }
    lines
}

async fn stopped() {
    super::interrupted().await;
    say("stopping: no new requests, turns under way may finish");
}
