//! Limits on a whole jail, held by the kernel: memory, processes and a share of the processors.
//!
//! The server makes a group for each jail below its own and moves the jail's init into it before the
//! init has read its letter, so that nothing of the jail was ever outside. Works on one tree (version
//! 2) that was delegated to the server, and on the older tree for each controller, as root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Limits;
use super::letter::{At, Layer, Missing};
use crate::limits;

const ROOT: &str = "/sys/fs/cgroup";

/// Where groups of this server are made.
#[derive(Debug)]
pub(crate) struct Cgroups {
    parents: Vec<Parent>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Parent {
    folder: PathBuf,
    controllers: Controllers,
}

#[derive(Debug, Clone, Copy)]
enum Controllers {
    /// All of them in one tree.
    Unified,
    Memory,
    Pids,
    Cpu,
}

/// The group of one jail.
#[derive(Debug)]
pub(crate) struct Group {
    folders: Vec<PathBuf>,
    /// Whose own folders go after those of its groups.
    within: Arc<Cgroups>,
}

impl Cgroups {
    pub(crate) fn open() -> Result<Cgroups, Missing> {
        let own = fs::read_to_string("/proc/self/cgroup").at(Layer::Cgroup, "/proc/self/cgroup")?;
        let parents = match unified(&own) {
            Some(folder) => divide(&folder).map(|parent| vec![parent])?,
            None => separate(&own)?,
        };
        Ok(Cgroups { parents, next: AtomicU64::new(0) })
    }

    /// A group with these limits.
    pub(crate) fn group(self: &Arc<Self>, limits: &Limits) -> io::Result<Group> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut group = Group { folders: vec![], within: Arc::clone(self) };
        for parent in &self.parents {
            let folder = parent.folder.join(format!("jail-{number}"));
            fs::create_dir(&folder)?;
            group.folders.push(folder.clone());
            for (file, value) in parent.controllers.settings(limits) {
                fs::write(folder.join(file), value)?;
            }
        }
        Ok(group)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for parent in &self.parents {
            // Of a server that was stopped meanwhile, a later one clears it.
            let _ = fs::remove_dir(&parent.folder);
        }
    }
}

impl Group {
    pub(crate) fn add(&self, process: u32) -> io::Result<()> {
        let add = |folder: &PathBuf| fs::write(folder.join("cgroup.procs"), process.to_string());
        self.folders.iter().try_for_each(add)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let folders = std::mem::take(&mut self.folders);
        let left = remove(folders);
        if left.is_empty() {
            return;
        }
        // Without a runtime the server is stopping, and a later one clears them.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(remove_when_empty(left, Arc::clone(&self.within)));
        }
    }
}

/// The kernel takes a moment to end the last processes of a group.
async fn remove_when_empty(mut folders: Vec<PathBuf>, _within: Arc<Cgroups>) {
    let mut pause = limits::CGROUP_PAUSE;
    while !folders.is_empty() && pause < limits::CGROUP_PATIENCE {
        tokio::time::sleep(pause).await;
        pause *= 2;
        folders = remove(folders);
    }
    if !folders.is_empty() {
        tracing::warn!(?folders, "a jail's cgroup stays, because something is still in it");
    }
}

/// Those that are still there.
fn remove(mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    folders.retain(|folder| {
        fs::remove_dir(folder).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
    });
    folders
}

impl Controllers {
    /// What is in /tmp and /dev/shm is memory too, and so is the init.
    fn settings(self, limits: &Limits) -> Vec<(&'static str, String)> {
        let memory = (u64::from(limits.memory_mb + limits.tmp_mb) << 20)
            + limits::SHM_BYTES
            + limits::INIT_BYTES;
        let processes = limits.processes + limits::INIT_PROCESSES;
        let quota = limits::CPU_PERIOD_MICROS * u64::from(limits.memory_mb.max(limits::MB_PER_CPU))
            / u64::from(limits::MB_PER_CPU);
        let period = limits::CPU_PERIOD_MICROS;
        match self {
            Controllers::Unified => vec![
                ("memory.max", memory.to_string()),
                ("pids.max", processes.to_string()),
                ("cpu.max", format!("{quota} {period}")),
            ],
            Controllers::Memory => vec![("memory.limit_in_bytes", memory.to_string())],
            Controllers::Pids => vec![("pids.max", processes.to_string())],
            Controllers::Cpu => vec![
                ("cpu.cfs_period_us", period.to_string()),
                ("cpu.cfs_quota_us", quota.to_string()),
            ],
        }
    }
}

/// The server's own group, where there is one tree and it has controllers.
fn unified(own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new(ROOT).join(path);
    let controllers = fs::read_to_string(folder.join("cgroup.controllers")).ok()?;
    let has = |name: &str| controllers.split_whitespace().any(|one| one == name);
    (has("memory") && has("pids") && has("cpu")).then_some(folder)
}

/// A group with children may hold no processes itself: the server moves into one of its own, if it
/// is alone in the group.
fn divide(own: &Path) -> Result<Parent, Missing> {
    let layer = Layer::Cgroup;
    let control = own.join("cgroup.subtree_control");
    let enable = || fs::write(&control, "+memory +pids +cpu");
    if enable().is_err() {
        let here = fs::read_to_string(own.join("cgroup.procs")).at(layer, "cgroup.procs")?;
        if here.trim() != std::process::id().to_string() {
            let why = "other processes are in the server's cgroup".to_owned();
            return Err(Missing::lasting(layer, why));
        }
        let server = own.join("server");
        fs::create_dir_all(&server).at(layer, "dividing the server's cgroup")?;
        fs::write(server.join("cgroup.procs"), "0").at(layer, "dividing the server's cgroup")?;
        enable().at(layer, "cgroup.subtree_control")?;
    }
    let folder = make(own).at(layer, "making a cgroup")?;
    fs::write(folder.join("cgroup.subtree_control"), "+memory +pids +cpu")
        .at(layer, "cgroup.subtree_control")?;
    Ok(Parent { folder, controllers: Controllers::Unified })
}

/// A tree for each controller. Without one for processors their share is not limited.
fn separate(own: &str) -> Result<Vec<Parent>, Missing> {
    let mut parents = vec![];
    for (name, controllers) in
        [("memory", Controllers::Memory), ("pids", Controllers::Pids), ("cpu", Controllers::Cpu)]
    {
        let made = tree(own, name).and_then(|folder| make(&folder));
        match made {
            Ok(folder) => parents.push(Parent { folder, controllers }),
            Err(_) if name == "cpu" => {}
            Err(error) => return Err(error).at(Layer::Cgroup, format_args!("controller {name}")),
        }
    }
    Ok(parents)
}

fn tree(own: &str, name: &str) -> io::Result<PathBuf> {
    let found = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(":/")?;
        controllers.split(',').any(|one| one == name).then_some((controllers, path))
    });
    let (controllers, path) =
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is in no tree"))?;
    let root = Path::new(ROOT);
    let mount =
        [controllers, name].map(|folder| root.join(folder)).into_iter().find(|m| m.is_dir());
    let mount =
        mount.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "its tree is not mounted"))?;
    // A container sees its own group as the root of the tree, and reads the path outside.
    Ok([mount.join(path), mount].into_iter().find(|folder| folder.is_dir()).unwrap_or_default())
}

/// A folder for this server, after what dead ones left is cleared.
fn make(below: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(below)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let server = name.strip_prefix("craton-").and_then(|rest| rest.split('-').next());
        let Some(process) = server else { continue };
        if !Path::new("/proc").join(process).exists() {
            for jail in fs::read_dir(entry.path())?.flatten() {
                // Files of the kernel stay until their folder goes.
                let _ = fs::remove_dir(jail.path());
            }
            let _ = fs::remove_dir(entry.path());
        }
    }
    // Numbered, for tests have several servers in one process.
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let folder = below.join(format!("craton-{}-{number}", std::process::id()));
    fs::create_dir(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use expect_test::expect;

    use super::*;

    const LIMITS: Limits = Limits { memory_mb: 256, tmp_mb: 512, processes: 1024, files: 64 };

    #[test]
    fn limits_leave_room_for_files_in_memory_and_for_the_init() {
        let all = [Controllers::Unified, Controllers::Memory, Controllers::Pids, Controllers::Cpu];
        let told = all.map(|one| format!("{:?}", one.settings(&LIMITS))).join("\n");
        expect![[r#"
            [("memory.max", "905969664"), ("pids.max", "1040"), ("cpu.max", "100000 100000")]
            [("memory.limit_in_bytes", "905969664")]
            [("pids.max", "1040")]
            [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "100000")]"#]]
        .assert_eq(&told);
    }

    #[tokio::test]
    async fn a_group_holds_what_is_added_and_goes_when_that_has_ended() {
        let cgroups = match Cgroups::open() {
            Ok(cgroups) => Arc::new(cgroups),
            Err(missing) => return eprintln!("no groups can be made here: {missing}"),
        };
        let group = cgroups.group(&LIMITS).unwrap();
        let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
        group.add(sleeper.id()).unwrap();
        let inside = fs::read_to_string(format!("/proc/{}/cgroup", sleeper.id())).unwrap();
        assert!(inside.contains("/jail-0\n"), "{inside}");
        let folders = group.folders.clone();
        drop(group);
        assert!(folders.iter().all(|folder| folder.exists()), "{folders:?}");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        while folders.iter().any(|folder| folder.exists()) {
            tokio::task::yield_now().await;
        }
    }
}
