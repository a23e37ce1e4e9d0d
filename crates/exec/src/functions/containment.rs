//! How functions are contained on this machine, decided once: which backend, where a process sees
//! what it is given, and who it is.
//!
//! It turns a launch into the [`Spec`] of a jail. Nothing here starts anything but rehearsals.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use crate::config::{Config, Isolation, MinIsolation};
use crate::function::Function;
use crate::functions::runtime::Launch;
use crate::jail::backend::{Backend, Jail, Plain};
use crate::jail::cgroup::Cgroups;
use crate::jail::layers::Layers;
use crate::jail::letter::{Manner, Missing};
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

/// Why there is no place for a process.
#[derive(Debug)]
pub(crate) enum Unhoused {
    /// For the moment.
    Busy(String),
    /// Which layer of what is demanded is missing.
    Lacks(String),
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

    /// Looks once what there is.
    pub(crate) async fn house(&self) -> Result<&House, Unhoused> {
        let house = self.look_once().await.map_err(Unhoused::Busy)?;
        let least = self.config.min_isolation;
        least.map_or(Ok(()), |least| house.at_least(least)).map_err(Unhoused::Lacks)?;
        Ok(house)
    }

    /// Whatever is demanded. What failed because the machine was busy is looked at again next time.
    pub(crate) async fn look_once(&self) -> Result<&House, String> {
        let busy =
            |missing| format!("this machine is too busy to say what jails it has: {missing}");
        self.house.get_or_try_init(|| self.look()).await.map_err(busy)
    }

    async fn look(&self) -> Result<House, Missing> {
        Ok(match self.config.isolation {
            Isolation::Process => House::Process,
            Isolation::Jail => {
                let host_user = self.users.as_ref().map(Users::next);
                let mut layers = Layers::probe(&self.init, host_user).await?;
                let cgroups = match Cgroups::open() {
                    Ok(cgroups) => Some(Arc::new(cgroups)),
                    Err(missing) if missing.passing => return Err(missing),
                    Err(missing) => {
                        layers.missing.push(missing);
                        None
                    }
                };
                for missing in &layers.missing {
                    let advice = missing.layer.advice();
                    tracing::warn!(
                        "functions run without a layer of their jail: {missing}; {advice}"
                    );
                }
                House::Jail { layers, cgroups }
            }
        })
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
            let source = self.shown(&mount.folder).map_err(told)?;
            Ok(Bind { source, target: mount.target.clone(), writable: mount.writable })
        });
        binds.collect()
    }

    /// A folder without links, unless a function decides where its path leads.
    pub(crate) fn shown(&self, folder: &Path) -> Result<PathBuf, String> {
        let way = Way::to(folder).map_err(|e| e.to_string())?;
        if let Some(other) = way.through(&self.writable()) {
            let other = other.display();
            return Err(format!(
                "its path leads through {other}, where functions may write; mount a folder outside \
                 of it"
            ));
        }
        Ok(way.end)
    }

    /// The folders in which some function may write.
    fn writable(&self) -> Vec<PathBuf> {
        let all = self.config.mounts.values().flatten().filter(|mount| mount.writable);
        // One that is not there is nobody's mount yet.
        all.filter_map(|mount| Way::to(&mount.folder).ok()).map(|way| way.end).collect()
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

/// Whose folders are no links. What is not there any more says so when it is bound.
pub(crate) fn without_links(path: &Path) -> PathBuf {
    let real = if path.is_symlink() {
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        folder.zip(path.file_name()).map(|(folder, name)| folder.join(name))
    } else {
        path.canonicalize().ok()
    };
    real.unwrap_or_else(|| path.to_owned())
}

/// How a path leads to what it names. Whoever may write in a folder on the way decides where it
/// leads, so a function that may must not stand on the way to what another one is shown.
struct Way {
    /// Without links.
    end: PathBuf,
    /// Every name that was looked up, links included.
    names: Vec<PathBuf>,
}

impl Way {
    fn to(path: &Path) -> io::Result<Way> {
        let mut way = Way { end: PathBuf::from("/"), names: vec![] };
        let mut links = 0;
        way.follow(path, &mut links)?;
        Ok(way)
    }

    fn follow(&mut self, path: &Path, links: &mut usize) -> io::Result<()> {
        for part in path.components() {
            match part {
                Component::RootDir => self.end = PathBuf::from("/"),
                Component::ParentDir => {
                    self.end.pop();
                }
                Component::CurDir | Component::Prefix(_) => {}
                Component::Normal(name) => {
                    let looked_up = self.end.join(name);
                    self.names.push(looked_up.clone());
                    if !looked_up.symlink_metadata()?.is_symlink() {
                        self.end = looked_up;
                        continue;
                    }
                    *links += 1;
                    if *links > limits::LINKS {
                        return Err(io::Error::other("too many links"));
                    }
                    self.follow(&looked_up.read_link()?, links)?;
                }
            }
        }
        Ok(())
    }

    /// The first of the folders in which a name was looked up.
    fn through<'a>(&self, folders: &'a [PathBuf]) -> Option<&'a PathBuf> {
        let inside = |folder: &PathBuf, name: &PathBuf| name.starts_with(folder) && name != folder;
        folders.iter().find(|folder| self.names.iter().any(|name| inside(folder, name)))
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
        binds.extend(launch.roots.iter().map(|root| pair(&without_links(root), root)));
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
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Way, first_user};

    /// Which of `folders` below a base a path leads through.
    #[track_caller]
    fn leads(base: &Path, path: &str, folders: &[&str], expected: Option<&str>) {
        let folders: Vec<_> = folders.iter().map(|folder| base.join(folder)).collect();
        let way = Way::to(&base.join(path)).unwrap();
        assert_eq!(way.end, base.join(path).canonicalize().unwrap());
        let through = way.through(&folders).map(|folder| folder.strip_prefix(base).unwrap());
        assert_eq!(through, expected.map(Path::new), "{path}");
    }

    #[test]
    fn a_path_leads_through_every_folder_in_which_a_name_of_it_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for folder in ["data/sub", "data-2", "other"] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        symlink(base.join("other"), base.join("data/out")).unwrap();
        symlink("data/../data/out", base.join("link")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        leads(&base, "data", &["data"], None);
        leads(&base, "data-2", &["data"], None);
        leads(&base, "other", &["data"], None);
        leads(&base, "data/sub", &["data-2", "data"], Some("data"));
        leads(&base, "data/sub/..", &["data"], Some("data"));
        // Its end lies elsewhere, and the way to it does not.
        leads(&base, "data/out", &["data"], Some("data"));
        leads(&base, "link", &["data"], Some("data"));
        assert!(Way::to(&base.join("loop")).is_err());
        assert!(Way::to(&base.join("nowhere")).is_err());
    }

    #[test]
    fn users_of_jails_exist_where_the_server_runs() {
        let check = |map, expected| assert_eq!(first_user(map), expected, "{map}");
        check("         0          0 4294967295\n", Some(1_879_048_192));
        check("         0     100000      65536\n", Some(61_439));
        check("         0       1000          1\n", None);
        check("", None);
    }
}
