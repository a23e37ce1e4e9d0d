//! `[functions]` of craton.toml. The doc comments are the reference page.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use net::egress::Entry;
use serde::Deserialize;

use crate::limits;

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
    /// Who is asked for the addresses of hosts. Default: the system. For tests, never in the file.
    #[serde(skip)]
    pub names: Option<Names>,
    /// `"jail"`: each process in namespaces of its own, without privileges, network and the host's
    /// files (docs/sandbox.md). `"process"`: with the rights of the server. Default: `"jail"` on
    /// Linux, `"process"` elsewhere.
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
    /// Folders of this machine that functions see below `/mnt`, as a shared file system on AWS:
    /// function name, ARN or `"*"` for all = list of `"folder:/mnt/name"`, with `:rw` at the end if
    /// they may write. A folder is below the configuration file's own if it is not absolute, and no
    /// path to one leads through another in which functions may write.
    pub mounts: BTreeMap<String, Vec<Mount>>,
    /// What a jailed function may reach of the network besides Craton: function name, ARN, or `*`
    /// for all = `host:port`, `host` (port 443), `*.domain:port`. What is named without a star may
    /// stand in a private network. Default: nothing.
    pub hosts: BTreeMap<String, Vec<Entry>>,
    /// Connections that one process of a function has open at once. Default: 1024.
    pub max_connections: usize,
    /// What one call sends and receives over them together. Default: 1024.
    pub max_traffic_mb: u64,
    /// Functions that are served by an HTTP URL instead of a process: ARN or name = URL.
    pub map: BTreeMap<String, String>,
}

/// A folder of this machine and its place in a jail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mount {
    pub folder: PathBuf,
    pub target: PathBuf,
    pub writable: bool,
}

impl TryFrom<String> for Mount {
    type Error = String;

    /// AWS: a local mount path is `/mnt/` and one name (FileSystemConfig, `LocalMountPath`).
    fn try_from(text: String) -> Result<Mount, String> {
        let (rest, writable) = match text.strip_suffix(":rw") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix(":ro").unwrap_or(&text), false),
        };
        let wrong = || {
            format!("{text:?} is no mount; write \"folder:/mnt/name\" or \"folder:/mnt/name:rw\"")
        };
        let (folder, target) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let name = target.strip_prefix("/mnt/").ok_or_else(wrong)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let special = name.is_empty() || name == "." || name == "..";
        if folder.is_empty() || special || !name.chars().all(is_name) {
            return Err(wrong());
        }
        Ok(Mount { folder: folder.into(), target: target.into(), writable })
    }
}

/// What stands between a function and the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    Jail,
    Process,
}

impl Default for Isolation {
    fn default() -> Self {
        if cfg!(target_os = "linux") { Isolation::Jail } else { Isolation::Process }
    }
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

/// A resolver in place of the system's.
#[derive(Clone)]
pub struct Names(pub Arc<dyn net::egress::Resolve>);

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            work_dir: PathBuf::new(),
            jail_init: None,
            names: None,
            isolation: Isolation::default(),
            min_isolation: None,
            python: None,
            node: None,
            max_concurrency: 10,
            idle_seconds: 300,
            http_timeout_seconds: 3,
            boto3: "boto3==1.44.5".to_owned(),
            mounts: BTreeMap::new(),
            hosts: BTreeMap::new(),
            max_connections: limits::FUNCTION_CONNECTIONS,
            max_traffic_mb: limits::FUNCTION_TRAFFIC_MB,
            map: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The folders that a function sees; those of all functions first.
    pub(crate) fn mounts_of<'a>(
        &'a self,
        arn: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Mount> {
        keys(arn, name).into_iter().filter_map(|key| self.mounts.get(key)).flatten()
    }

    /// The hosts that the operator names for a function; those of all functions first.
    pub(crate) fn hosts_of<'a>(
        &'a self,
        arn: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Entry> {
        keys(arn, name).into_iter().filter_map(|key| self.hosts.get(key)).flatten()
    }

    /// Paths of the file are below the folder that it lies in.
    #[must_use]
    pub fn below(mut self, base: &Path) -> Config {
        for mount in self.mounts.values_mut().flatten() {
            mount.folder = base.join(&mount.folder);
        }
        self
    }
}

/// Under which a function is named, whichever version of it runs.
fn keys<'a>(arn: &'a str, name: &'a str) -> [&'a str; 3] {
    // arn:aws:lambda:REGION:ACCOUNT:function:NAME, then perhaps a version.
    let version = arn.match_indices(':').nth(6);
    ["*", name, version.map_or(arn, |(at, _)| &arn[..at])]
}

#[cfg(test)]
mod tests {
    use super::Mount;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str, bool)>) {
        let expected = expected.map(|(folder, target, writable)| Mount {
            folder: folder.into(),
            target: target.into(),
            writable,
        });
        assert_eq!(Mount::try_from(text.to_owned()).ok(), expected, "{text}");
    }

    #[test]
    fn a_mount_is_a_folder_and_a_name_below_mnt() {
        check("/srv/data:/mnt/data", Some(("/srv/data", "/mnt/data", false)));
        check("data:/mnt/a-b_c.d:rw", Some(("data", "/mnt/a-b_c.d", true)));
        check("/a:b:/mnt/x:ro", Some(("/a:b", "/mnt/x", false)));
        for text in ["/srv", "/srv:/data", "/srv:/mnt/", "/srv:/mnt/..", "/srv:/mnt/a/b", ":/mnt/a"]
        {
            check(text, None);
        }
    }
}
