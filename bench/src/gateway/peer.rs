//! Who stands between client and model, how each is started, and how it is asked the same thing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use super::{Answer, Args};
use crate::http1::{self, Link};
use crate::peer::free_address;
use crate::process::{Running, Talking};
use crate::{Error, craton, limits, world};

/// Made up, for loopback; LiteLLM starts with no weaker one.
const LITELLM_KEY: &str = "sk-9b1f6c2e7d4a4f0c8e53a7d21c60b94e";
const SYSTEM: &str = "You answer in one short sentence and name no sources.";
/// As long as what people ask a model in passing.
const QUESTION: &str = "A warehouse ships parcels on weekdays only. On Monday it sent forty of \
    them, on each later day two more than on the day before, and on Friday the last twelve were \
    held back because their labels could not be read. How many parcels left the warehouse in that \
    week, on which day did the most of them leave, and would the answer change if the parcels that \
    were held back had left on the Monday after?";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Peer {
    Craton,
    Tensorzero,
    Portkey,
    Litellm,
}

/// The model, in a process of its own.
pub(super) struct World {
    pub(super) address: SocketAddr,
    running: Running,
}

pub(super) async fn world() -> Result<World, Error> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["world", "--listen", &address.to_string()]);
    let mut running = Running::start(&mut command)?;
    listening(address, &mut running).await?;
    Ok(World { address, running })
}

/// One that runs.
pub(super) struct Gateway {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    dialect: Dialect,
    id: u32,
    _running: Option<Running>,
    _talking: Option<Talking>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Chat,
    TensorZero,
    Portkey(SocketAddr),
    LiteLlm,
    Converse,
}

impl Gateway {
    pub(super) fn direct(world: &World) -> Gateway {
        let (address, id) = (world.address, world.running.id());
        let dialect = Dialect::Chat;
        Gateway { name: "direct", address, dialect, id, _running: None, _talking: None }
    }

    pub(super) async fn start(
        peer: Peer,
        args: &Args,
        model: SocketAddr,
        folder: &Path,
    ) -> Result<Gateway, Error> {
        let folder = folder.join(format!("{peer:?}"));
        std::fs::create_dir_all(&folder)?;
        match peer {
            Peer::Craton => ours(args, model, &folder).await,
            Peer::Tensorzero => tensorzero(args, model, &folder),
            Peer::Portkey => portkey(args, model).await,
            Peer::Litellm => litellm(args, model, &folder).await,
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Portkey's gateway fails on each streamed answer under Node 20: headers that it may not change.
    pub(super) fn speaks(&self, answer: Answer) -> bool {
        answer == Answer::Whole || !matches!(self.dialect, Dialect::Portkey(_))
    }

    pub(super) fn request(&self, answer: Answer) -> Ask {
        let stream = answer != Answer::Whole;
        let question = match answer {
            Answer::Steady => format!("{QUESTION} {}", world::PATIENCE),
            _ => QUESTION.to_owned(),
        };
        let (path, model) = match self.dialect {
            Dialect::Chat | Dialect::Portkey(_) => (world::CHAT, "mock"),
            Dialect::TensorZero => ("/openai/v1/chat/completions", "tensorzero::model_name::mock"),
            Dialect::LiteLlm => (world::CHAT, "mock"),
            Dialect::Converse if stream => ("/model/mock/converse-stream", ""),
            Dialect::Converse => ("/model/mock/converse", ""),
        };
        let body = match self.dialect {
            Dialect::Converse => converse(&question),
            _ => chat(model, &question, stream),
        };
        let headers = match self.dialect {
            Dialect::Portkey(world) => vec![
                ("x-portkey-provider", "openai".to_owned()),
                ("x-portkey-custom-host", format!("http://{world}/v1")),
                ("authorization", "Bearer none".to_owned()),
            ],
            Dialect::LiteLlm => vec![("authorization", format!("Bearer {LITELLM_KEY}"))],
            _ => Vec::new(),
        };
        let last = match (self.dialect, stream) {
            (_, false) => world::PLAIN_END,
            (Dialect::Converse, true) => "inputTokens",
            (_, true) => "[DONE]",
        };
        Ask { path, body: Bytes::from(body.to_string()), headers, last }
    }
}

/// A request, and what the end of its answer must hold.
#[derive(Clone)]
pub(super) struct Ask {
    path: &'static str,
    body: Bytes,
    headers: Vec<(&'static str, String)>,
    last: &'static str,
}

impl Ask {
    pub(super) fn request(&self) -> Result<Request<Full<Bytes>>, Error> {
        let mut request = http1::json("POST", self.path, self.body.clone())?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        Ok(request)
    }

    /// The answer has the model's words, and it has come to its end.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), Error> {
        let has = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
        if has(world::PLAIN_BEGIN) && has(self.last) {
            return Ok(());
        }
        Err(format!("a wrong answer: {}", String::from_utf8_lossy(body)).into())
    }
}

fn chat(model: &str, question: &str, stream: bool) -> Value {
    let mut body = json!({
        "model": model, "temperature": 0, "max_tokens": 256,
        "messages": [
            { "role": "system", "content": SYSTEM },
            { "role": "user", "content": question },
        ],
    });
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

fn converse(question: &str) -> Value {
    json!({
        "system": [{ "text": SYSTEM }],
        "messages": [{ "role": "user", "content": [{ "text": question }] }],
        "inferenceConfig": { "temperature": 0, "maxTokens": 256 },
    })
}

async fn ours(args: &Args, model: SocketAddr, folder: &Path) -> Result<Gateway, Error> {
    let address = free_address()?;
    let config = format!(
        "[providers.mock]\nkind = \"openai\"\nbase_url = \"http://{model}/v1\"\n\n\
         [[models]]\nmatch = \"*\"\nprovider = \"mock\"\nmodel = \"mock\"\n"
    );
    let mut running = craton::up(&args.craton, address, folder, &config)?;
    craton::ready(address, &mut running).await?;
    Ok(gateway("craton", address, Dialect::Converse, running))
}

fn tensorzero(args: &Args, model: SocketAddr, folder: &Path) -> Result<Gateway, Error> {
    let python = args.tensorzero.as_ref().ok_or("tensorzero needs --tensorzero PYTHON")?;
    let script = PathBuf::from("bench/peers/tensorzero_gateway.py");
    let mut command = Command::new(python);
    command.arg(script).arg(model.to_string()).arg(folder).stderr(Stdio::null());
    let mut talking = Talking::start(&mut command)?;
    // It logs to standard output before it says where it listens.
    let port = loop {
        let line = talking.hear()?;
        if let Some(port) = line.trim().parse().ok().and_then(|url: http::Uri| url.port_u16()) {
            break port;
        }
    };
    let (address, id) = (SocketAddr::from(([127, 0, 0, 1], port)), talking.running.id());
    let (dialect, name) = (Dialect::TensorZero, "tensorzero");
    Ok(Gateway { name, address, dialect, id, _running: None, _talking: Some(talking) })
}

async fn portkey(args: &Args, model: SocketAddr) -> Result<Gateway, Error> {
    let folder = args.portkey.as_ref().ok_or("portkey needs --portkey FOLDER")?;
    let address = free_address()?;
    let mut command = Command::new("node");
    command.arg(folder.join("node_modules/@portkey-ai/gateway/build/start-server.js"));
    command.arg("--headless").arg(format!("--port={}", address.port()));
    let mut running = Running::start(command.stderr(Stdio::null()))?;
    listening(address, &mut running).await?;
    Ok(gateway("portkey", address, Dialect::Portkey(model), running))
}

async fn litellm(args: &Args, model: SocketAddr, folder: &Path) -> Result<Gateway, Error> {
    let python = args.litellm.as_ref().ok_or("litellm needs --litellm PYTHON")?;
    let (address, config) = (free_address()?, folder.join("litellm.yaml"));
    std::fs::write(
        &config,
        format!(
            "model_list:\n  - model_name: mock\n    litellm_params: {{model: openai/mock, \
             api_base: \"http://{model}/v1\", api_key: none}}\n\
             litellm_settings: {{telemetry: false}}\n\
             general_settings: {{master_key: \"{LITELLM_KEY}\"}}\n"
        ),
    )?;
    let mut command = Command::new(python.with_file_name("litellm"));
    command.arg("--config").arg(config).args(["--host", "127.0.0.1", "--port"]);
    command.arg(address.port().to_string()).env("LITELLM_LOG", "ERROR");
    let mut running = Running::start(command.stderr(Stdio::null()))?;
    listening(address, &mut running).await?;
    Ok(gateway("litellm", address, Dialect::LiteLlm, running))
}

fn gateway(name: &'static str, address: SocketAddr, dialect: Dialect, running: Running) -> Gateway {
    let id = running.id();
    Gateway { name, address, dialect, id, _running: Some(running), _talking: None }
}

async fn listening(address: SocketAddr, process: &mut Running) -> Result<(), Error> {
    let deadline = Instant::now() + limits::START;
    while Instant::now() < deadline && !process.ended() {
        if Link::open(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(format!("no answer on {address} within {:?}", limits::START).into())
}
