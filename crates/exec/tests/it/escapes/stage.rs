//! The stage of a test: the test's own binary once more, after `stage.py` made the world around it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use exec::{Config, Function, Functions, Isolation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{hex, invocation, zip};

const SCRIPT: &str = include_str!("stage.py");
const VARIABLE: &str = "CRATON_STAGE";

/// How the functions of a server run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Process,
    Jail,
}

/// What the script says of the world that it made.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Stage {
    base: PathBuf,
    python: PathBuf,
    pub(super) secret: String,
    /// For the attempts; it does not hold the secret.
    pub(super) world: Value,
}

/// Runs the body on a stage, as `user`. `test` is the name of the test that asks for it, which the
/// binary on the stage runs again.
pub(super) fn set<F: Future<Output = ()>>(user: &str, test: &str, body: impl FnOnce(Stage) -> F) {
    let Ok(stage) = std::env::var(VARIABLE) else { return raise(user, test) };
    let stage: Stage = serde_json::from_str(&stage).unwrap();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(body(stage));
}

fn raise(user: &str, test: &str) {
    let base = tempfile::tempdir().unwrap();
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(base.path(), readable).unwrap();
    let script = base.path().join("stage.py");
    std::fs::write(&script, SCRIPT).unwrap();
    let mut python = Command::new("python3");
    python.arg("-I").arg(script).arg(user).arg(base.path());
    python.arg(std::env::current_exe().unwrap());
    python.args(["--exact", &format!("escapes::{test}"), "--nocapture", "--test-threads=1"]);
    let output = python.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "on the stage of {user}: {told}");
    assert!(told.contains("1 passed"), "the test ran on the stage: {told}");
    report(&told);
}

/// For `--nocapture`.
#[expect(clippy::print_stderr, reason = "a test's own report")]
pub(super) fn report(told: &str) {
    eprintln!("{told}");
}

impl Stage {
    pub(super) fn work_dir(&self, kind: Kind) -> PathBuf {
        self.base.join(format!("{kind:?}"))
    }

    pub(super) fn open(&self, kind: Kind) -> Functions {
        let config = Config {
            work_dir: self.work_dir(kind),
            jail_init: Some(env!("CARGO_BIN_EXE_jail-init").into()),
            isolation: match kind {
                Kind::Process => Isolation::Process,
                Kind::Jail => Isolation::Jail,
            },
            python: Some(self.python.clone()),
            hosts: [("*".to_owned(), self.allowed())].into(),
            ..Config::default()
        };
        Functions::open(config).unwrap()
    }

    /// A host that is nowhere, at the ports of those that listen: the jail has a way out at each of
    /// them, and every attempt that goes for another host there has to be told apart from it.
    fn allowed(&self) -> Vec<net::egress::Entry> {
        let ports = [json!(80), self.world["port"].clone()];
        ports.iter().map(|port| format!("allowed.test:{port}").parse().unwrap()).collect()
    }

    pub(super) async fn function(
        &self,
        functions: &Functions,
        name: &str,
        files: &[(&str, &str)],
    ) -> Function {
        let zip = zip(files);
        let code = hex(&zip);
        functions.unpack(&code, zip).await.unwrap();
        Function {
            arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
            name: name.to_owned(),
            version: "$LATEST".to_owned(),
            runtime: "python3.12".to_owned(),
            handler: "main.handler".to_owned(),
            env: [].into(),
            timeout: Duration::from_secs(120),
            memory_mb: 512,
            clean: false,
            code,
            allow_hosts: String::new(),
        }
    }

    pub(super) async fn answer(
        &self,
        functions: &Functions,
        function: &Function,
        event: Value,
    ) -> Value {
        let invoked = functions.invoke(function, invocation(&event)).await.unwrap();
        let payload = String::from_utf8_lossy(&invoked.payload);
        assert_eq!(invoked.error, None, "{payload}\n{}", crate::log_of(&invoked));
        serde_json::from_str(&payload).unwrap()
    }

    /// Who came to what listens outside, in order.
    pub(super) fn visitors(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.base.join("visitors")).unwrap();
        log.lines().map(str::to_owned).collect()
    }

    /// Whether the controls have all rights over the stage and its machine.
    pub(super) fn is_privileged(&self) -> bool {
        let root = std::fs::metadata(Path::new("/proc/self")).unwrap();
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
        std::os::unix::fs::MetadataExt::uid(&root) == 0 && map.trim().ends_with("4294967295")
    }
}
