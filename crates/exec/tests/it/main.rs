//! Functions as real processes on loopback: what a handler sees and what a caller gets.
//!
//! `suite` is what every executor passes; `node` and `provided` are what only they do, `errors`,
//! `lifecycle` and `packages` are told by Python handlers and hold for all processes.
//!
//! Handlers that must be caught in the act connect back to the test, so that nothing here sleeps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod aws_lambda;
mod clean;
mod errors;
mod escapes;
mod gate;
mod hook;
mod jail;
mod lifecycle;
mod mcp;
mod node;
mod packages;
mod provided;
mod ssrf;
mod suite;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use exec::{Config, ExecError, Function, Functions, Invocation, Invoked, Surroundings, Times};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A work directory with functions in it.
struct Bench {
    functions: Functions,
    dir: TempDir,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            work_dir: dir.path().to_owned(),
            jail_init: Some(env!("CARGO_BIN_EXE_jail-init").into()),
            // Handlers that connect back to the test need its loopback.
            isolation: exec::Isolation::Process,
            ..Config::default()
        };
        change(&mut config);
        Bench { functions: Functions::open(config).unwrap(), dir }
    }

    fn jailed() -> Bench {
        Bench::new(|config| config.isolation = exec::Isolation::Jail)
    }

    /// A function of one file, `main.py`.
    async fn function(&self, source: &str) -> Function {
        self.deploy(&[("main.py", source)], "main.handler").await
    }

    async fn deploy(&self, files: &[(&str, &str)], handler: &str) -> Function {
        let zip = zip(files);
        let code = hex(&zip);
        self.functions.unpack(&code, zip).await.unwrap();
        assert!(self.functions.has_code(&code));
        Function {
            arn: "arn:aws:lambda:us-east-1:000000000000:function:probe".to_owned(),
            name: "probe".to_owned(),
            version: "$LATEST".to_owned(),
            runtime: "python3.12".to_owned(),
            handler: handler.to_owned(),
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            timeout: Duration::from_secs(20),
            memory_mb: 256,
            clean: false,
            code,
            allow_hosts: String::new(),
        }
    }

    /// A function of another runtime than Python.
    async fn other(&self, runtime: &str, files: &[(&str, &str)], handler: &str) -> Function {
        Function { runtime: runtime.to_owned(), ..self.deploy(files, handler).await }
    }

    async fn call(&self, function: &Function, event: Value) -> Result<Invoked, ExecError> {
        self.functions.invoke(function, invocation(&event)).await
    }

    /// The answer of a call that succeeds.
    async fn answer(&self, function: &Function, event: Value) -> Value {
        let invoked = self.call(function, event).await.unwrap();
        let payload = String::from_utf8_lossy(&invoked.payload).into_owned();
        assert_eq!(invoked.error, None, "{payload}");
        serde_json::from_str(&payload).unwrap()
    }
}

fn invocation(event: &Value) -> Invocation {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Invocation {
        request_id: format!("00000000-0000-4000-8000-{count:012}"),
        payload: Bytes::from(event.to_string()),
        client_context: Some(json!({ "custom": { "who": "Zoë" } }).to_string()),
        surroundings: Surroundings {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            endpoint_url: Some("http://127.0.0.1:4747".to_owned()),
            credentials: None,
        },
        times: Times::default(),
    }
}

fn zip(files: &[(&str, &str)]) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let mode = if *name == "bootstrap" { 0o755 } else { 0o644 };
        let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    Bytes::from(writer.finish().unwrap().into_inner())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn log_of(invoked: &Invoked) -> String {
    String::from_utf8(invoked.log_tail.clone()).unwrap()
}
