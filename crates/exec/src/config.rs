//! `[functions]` of craton.toml. The doc comments are the reference page.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// How functions run on this machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where code, the bootstrap and managed packages live. Set by the binary from its data
    /// directory, never in the file.
    #[serde(skip)]
    pub work_dir: PathBuf,
    /// The program that is a jail's init when it is started under its name. Default: the server's
    /// own binary. For tests, never in the file.
    #[serde(skip)]
    pub jail_init: Option<PathBuf>,
    /// `"jail"`: each process in namespaces of its own, without privileges, network and the host's
    /// files (docs/sandbox.md). `"process"`: with the rights of the server. Default: `"process"`.
    pub isolation: Isolation,
    /// What functions need at least: `"jail"` refuses calls where a layer of the jail is missing,
    /// which is otherwise done without and said in the log; `"gvisor"` and `"vm"`, which nothing
    /// offers yet, refuse all. Default: none.
    pub min_isolation: Option<MinIsolation>,
    /// The Python 3 that runs `python3.x` functions. Default: `python3` on the PATH.
    pub python: Option<PathBuf>,
    /// The Node.js that runs `nodejs*.x` functions. Default: `node` on the PATH.
    pub node: Option<PathBuf>,
    /// How many processes one function may have at a time; further calls wait. Default: 10.
    pub max_concurrency: usize,
    /// A process without a call for so long is stopped. Default: 300.
    pub idle_seconds: u64,
    /// The deadline of a call to a mapped URL. Default: 60.
    pub http_timeout_seconds: u64,
    /// The packages that handlers find without bundling them, as a pip requirement; installed into
    /// a managed virtual environment the first time a handler imports boto3 or botocore.
    pub boto3: String,
    /// Functions that are served by an HTTP URL instead of a process: ARN or name = URL.
    pub map: BTreeMap<String, String>,
}

/// What stands between a function and the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    Jail,
    Process,
}

/// Classes of isolation, each more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MinIsolation {
    Jail,
    Gvisor,
    Vm,
}

impl MinIsolation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            MinIsolation::Jail => "jail",
            MinIsolation::Gvisor => "gvisor",
            MinIsolation::Vm => "vm",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            work_dir: PathBuf::new(),
            jail_init: None,
            isolation: Isolation::Process,
            min_isolation: None,
            python: None,
            node: None,
            max_concurrency: 10,
            idle_seconds: 300,
            http_timeout_seconds: 60,
            boto3: "boto3==1.44.5".to_owned(),
            map: BTreeMap::new(),
        }
    }
}
