//! How functions are contained on this machine, decided once: which backend, where a process sees
//! what it is given, and who it is.
//!
//! It turns a launch into the [`Spec`] of a jail. Nothing here starts anything but rehearsals.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use crate::config::{Config, Isolation, MinIsolation};
use crate::function::Function;
use crate::functions::runtime::Launch;
use crate::jail::backend::{Backend, Jail, Plain};
use crate::jail::cgroup::Cgroups;
use crate::jail::layers::Layers;
use crate::jail::letter::Manner;
use crate::jail::{Bind, Limits, Spec};
use crate::limits;

/// Where the Runtime API is inside of a jail.
pub(crate) const RUNTIME_API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9001);

/// Folders, as the server or as a process sees them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Places {
    pub(crate) code: PathBuf,
    pub(crate) runtime: PathBuf,
    pub(crate) packages: PathBuf,
}

impl Places {
    /// AWS: /var/task and /var/runtime (Lambda developer guide, defined runtime environment
    /// variables). The packages' folder is ours.
    fn inside() -> Places {
        Places {
            code: "/var/task".into(),
            runtime: "/var/runtime".into(),
            packages: "/opt/craton/packages".into(),
        }
    }
}

/// Decided when the first function starts.
pub(crate) struct Containment {
    config: Config,
    init: PathBuf,
    /// Users of the host for the jails of a server that is root.
    users: Option<Users>,
    house: OnceCell<House>,
}

/// What stands between functions and this machine.
#[derive(Debug)]
pub(crate) enum House {
    Jail {
        layers: Layers,
        cgroups: Option<Arc<Cgroups>>,
    },
    /// As configured.
    Process,
}

impl Containment {
    pub(crate) fn new(config: &Config) -> Containment {
        Containment {
            init: config.jail_init.clone().unwrap_or_else(|| "/proc/self/exe".into()),
            users: Users::of_this_server(),
            config: config.clone(),
            house: OnceCell::new(),
        }
    }

    /// Looks once what there is. The error says which layer of what is demanded is missing.
    pub(crate) async fn house(&self) -> Result<&House, String> {
        let house = self.look_once().await;
        self.config.min_isolation.map_or(Ok(house), |least| house.at_least(least).map(|()| house))
    }

    /// Whatever is demanded.
    pub(crate) async fn look_once(&self) -> &House {
        self.house.get_or_init(|| self.look()).await
    }

    async fn look(&self) -> House {
        match self.config.isolation {
            Isolation::Process => House::Process,
            Isolation::Jail => {
                let host_user = self.users.as_ref().map(Users::next);
                let mut layers = Layers::probe(&self.init, host_user).await;
                let cgroups = Cgroups::open().map(Arc::new);
                let cgroups = cgroups.map_err(|missing| layers.missing.push(missing)).ok();
                for missing in &layers.missing {
                    let advice = missing.layer.advice();
                    tracing::warn!(
                        "functions run without a layer of their jail: {missing}; {advice}"
                    );
                }
                House::Jail { layers, cgroups }
            }
        }
    }

    /// What the operator lets a function see of this machine's folders.
    pub(crate) fn mounts(&self, function: &Function, house: &House) -> Result<Vec<Bind>, String> {
        let mounts = self.config.mounts_of(&function.arn, &function.name);
        let binds = mounts.map(|mount| {
            let told = |why: String| {
                let folder = mount.folder.display();
                format!(
                    "functions.mounts: {folder} cannot be seen at {}: {why}",
                    mount.target.display()
                )
            };
            if !house.has_rooms() {
                let why = "only a jail with files of its own has mounts; `craton doctor` says what \
                           it lacks";
                return Err(told(why.to_owned()));
            }
            let source = mount.folder.canonicalize().map_err(|e| told(e.to_string()))?;
            Ok(Bind { source, target: mount.target.clone(), writable: mount.writable })
        });
        binds.collect()
    }

    pub(crate) fn backend(&self, house: &House) -> Box<dyn Backend> {
        let House::Jail { layers: Layers { manner: Some(manner), .. }, cgroups } = house else {
            return Box::new(Plain);
        };
        let host_user = manner.host_user.and(self.users.as_ref()).map(Users::next);
        let manner = Manner { rehearse: false, host_user, ..*manner };
        Box::new(Jail { init: self.init.clone(), manner, cgroups: cgroups.clone() })
    }
}

impl House {
    /// Whether a process has a root and a network of its own.
    pub(crate) fn has_rooms(&self) -> bool {
        match self {
            House::Jail { layers, .. } => layers.manner.is_some_and(|manner| manner.rooms),
            House::Process => false,
        }
    }

    /// Where a process sees the folders.
    pub(crate) fn seen(&self, host: &Places) -> Places {
        if self.has_rooms() { Places::inside() } else { host.clone() }
    }

    fn at_least(&self, least: MinIsolation) -> Result<(), String> {
        let lacks = |what: String| {
            let least = least.name();
            Err(format!("min_isolation = {least:?} is not met: {what} (CR0036)"))
        };
        match (least, self) {
            (MinIsolation::Gvisor | MinIsolation::Vm, _) => {
                lacks(format!("nothing here offers {}", least.name()))
            }
            (MinIsolation::Jail, House::Process) => {
                lacks("isolation = \"process\" asks for less".to_owned())
            }
            (MinIsolation::Jail, House::Jail { layers, .. }) => match layers.shortfall() {
                Some(missing) => lacks(format!("{missing}; {}", missing.layer.advice())),
                None => Ok(()),
            },
        }
    }

    /// The jail of one process; its variables and its network come later.
    pub(crate) fn spec(&self, function: &Function, launch: Launch, host: &Places) -> Spec {
        let seen = self.seen(host);
        let pair = |source: &Path, target: &Path| Bind {
            source: source.to_owned(),
            target: target.to_owned(),
            writable: false,
        };
        let mut binds = vec![pair(&host.code, &seen.code), pair(&host.runtime, &seen.runtime)];
        if launch.packages.is_some() {
            binds.push(pair(&host.packages, &seen.packages));
        }
        binds.extend(launch.roots.iter().map(|root| pair(root, root)));
        Spec {
            program: launch.program,
            args: launch.args,
            env: std::collections::BTreeMap::new(),
            directory: seen.code,
            family: launch.family,
            binds,
            mounts: vec![],
            listen: vec![],
            addresses: vec![],
            hosts: vec![],
            limits: Limits {
                memory_mb: function.memory_mb,
                tmp_mb: limits::TMP_MB,
                processes: limits::JAIL_PROCESSES,
                files: limits::JAIL_FILES,
            },
        }
    }
}

/// Numbers of users that nobody has, given out in turn.
struct Users {
    first: u32,
    next: AtomicU32,
}

impl Users {
    /// Only root may become somebody else.
    fn of_this_server() -> Option<Users> {
        let root = rustix::process::geteuid().is_root();
        let map = std::fs::read_to_string("/proc/self/uid_map").ok().filter(|_| root)?;
        Some(Users { first: first_user(&map)?, next: AtomicU32::new(0) })
    }

    fn next(&self) -> u32 {
        self.first + self.next.fetch_add(1, Ordering::Relaxed) % limits::JAIL_USERS
    }
}

/// The first of a range of users that exist where the server runs: high numbers where all do, the
/// highest of a container otherwise.
fn first_user(map: &str) -> Option<u32> {
    let mut fields = map.lines().next()?.split_whitespace().map(str::parse::<u32>);
    let (first, _outside, count) =
        (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    let users = limits::JAIL_USERS;
    if count > limits::JAIL_FIRST_USER && first == 0 {
        return Some(limits::JAIL_FIRST_USER);
    }
    (count > 2 * users).then(|| first + count - 1 - users)
}

#[cfg(test)]
mod tests {
    use super::first_user;

    #[test]
    fn users_of_jails_exist_where_the_server_runs() {
        let check = |map, expected| assert_eq!(first_user(map), expected, "{map}");
        check("         0          0 4294967295\n", Some(1_879_048_192));
        check("         0     100000      65536\n", Some(61_439));
        check("         0       1000          1\n", None);
        check("", None);
    }
}
