//! Craton as a stranger sets it up: a configuration file, a process, an agent made over the wire.

use std::io::{Cursor, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::http1::{self, Link};
use crate::process::Running;
use crate::{Error, limits, task, world};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:math";
const ROLE: &str = "arn:aws:iam::000000000000:role/bench";
const HEALTH: &str = "/_craton/v1/health";

/// How the binary is started.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) binary: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) world: SocketAddr,
    pub(crate) tool: Tool,
}

/// How the agent's tool is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tool {
    /// By the world, over HTTP, with its effect class; undeclared if left out, which counts as
    /// `once`.
    Url(Option<&'static str>),
    /// By a process of Craton's, as `read`.
    Python,
}

/// A Lambda handler for the tool.
const HANDLER: &str = "\
def handler(event, context):
    given = {parameter['name']: int(parameter['value']) for parameter in event['parameters']}
    body = {'TEXT': {'body': str(given['a'] + given['b'])}}
    return {'messageVersion': '1.0', 'response': {
        'actionGroup': event['actionGroup'], 'function': event['function'],
        'functionResponse': {'responseBody': body}}}
";

impl Setup {
    pub(crate) fn start(&self, dir: &Path) -> Result<Running, Error> {
        up(&self.binary, self.listen, dir, &self.config())
    }

    fn config(&self) -> String {
        let world = self.world;
        let effect = |class| format!("[tools.\"{FUNCTION}\"]\neffect = \"{class}\"\n");
        let tool = match self.tool {
            Tool::Url(class) => format!(
                "[functions.map]\n\"{FUNCTION}\" = \"http://{world}{}\"\n\n{}",
                world::ADD,
                class.map_or(String::new(), effect)
            ),
            // Lambda's own default would be a thousand at once.
            Tool::Python => format!("[functions]\nmax_concurrency = 64\n\n{}", effect("read")),
        };
        format!(
            "[providers.mock]\nkind = \"openai\"\nbase_url = \"http://{world}/v1\"\n\n\
             [[models]]\nmatch = \"*\"\nprovider = \"mock\"\nmodel = \"mock\"\n\n\
             {tool}",
        )
    }
}

/// Starts the binary with a configuration, on data of its own.
pub(crate) fn up(
    binary: &Path,
    listen: SocketAddr,
    dir: &Path,
    config: &str,
) -> Result<Running, Error> {
    let file = dir.join("craton.toml");
    std::fs::write(&file, config)?;
    let mut craton = Command::new(binary);
    craton.arg("up").arg("--listen").arg(listen.to_string());
    craton.arg("--data-dir").arg(dir.join("data")).arg("--config").arg(file);
    // Its log lines are written as in production, but to nowhere.
    Running::start(craton.stderr(Stdio::null()))
}

/// Waits for the first answer of the server.
pub(crate) async fn ready(address: SocketAddr, process: &mut Running) -> Result<(), Error> {
    let deadline = Instant::now() + limits::START;
    while Instant::now() < deadline {
        if process.ended() {
            return Err("the server ended instead of serving".into());
        }
        if let Ok(mut link) = Link::open(address).await {
            let (status, _) = link.send(http1::json("GET", HEALTH, Bytes::new())?).await?;
            if status.is_success() {
                return Ok(());
            }
        }
        tokio::time::sleep(std::time::Duration::from_micros(200)).await;
    }
    Err(format!("no answer on {address} within {:?}", limits::START).into())
}

/// Makes and prepares the agent of the task; returns its id.
pub(crate) async fn deploy(address: SocketAddr, tool: Tool) -> Result<String, Error> {
    let mut control = Control(Link::open(address).await?);
    if let Tool::Python = tool {
        control.call("POST", "/2015-03-31/functions", &function()?).await?;
    }
    let agent = json!({
        "agentName": "bench", "foundationModel": "anthropic.claude-3-haiku-20240307-v1:0",
        "instruction": task::INSTRUCTION, "agentResourceRoleArn": ROLE,
    });
    let made = control.call("PUT", "/agents/", &agent).await?;
    let id = made["agent"]["agentId"].as_str().ok_or("an agent without an id")?.to_owned();
    let number = |what: &str| json!({ "type": "integer", "description": what, "required": true });
    let group = json!({
        "actionGroupName": "math", "actionGroupExecutor": { "lambda": FUNCTION },
        "functionSchema": { "functions": [{
            "name": task::TOOL, "description": task::TOOL_IS_FOR,
            "parameters": { "a": number("the first number"), "b": number("the second number") },
        }]},
    });
    control.call("PUT", &format!("/agents/{id}/agentversions/DRAFT/actiongroups/"), &group).await?;
    control.call("POST", &format!("/agents/{id}/"), &json!({})).await?;
    let deadline = Instant::now() + limits::START;
    while Instant::now() < deadline {
        let found = control.call("GET", &format!("/agents/{id}/"), &Value::Null).await?;
        if found["agent"]["agentStatus"] == "PREPARED" {
            return Ok(id);
        }
    }
    Err("the agent was never prepared".into())
}

fn function() -> Result<Value, Error> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("math_tool.py", zip::write::SimpleFileOptions::default())?;
    zip.write_all(HANDLER.as_bytes())?;
    let package = BASE64_STANDARD.encode(zip.finish()?.into_inner());
    Ok(json!({
        "FunctionName": "math", "Runtime": "python3.12", "Handler": "math_tool.handler",
        "Role": ROLE, "Code": { "ZipFile": package },
    }))
}

struct Control(Link);

impl Control {
    async fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, Error> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let (status, body) = self.0.send(http1::json(method, path, body)?).await?;
        if status.is_success() || status == StatusCode::ACCEPTED {
            return Ok(serde_json::from_slice(&body)?);
        }
        Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&body)).into())
    }
}
