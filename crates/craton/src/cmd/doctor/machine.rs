//! What the machine gives a server: its port, its data directory, open files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use store::Store;
use tokio::net::TcpListener;

use super::Finding;
use crate::client::Client;

/// Below this a store fills up in one busy day: a turn's journal is some kilobytes.
const LITTLE_SPACE: u64 = 1 << 30;
/// Nothing can be committed any more.
const NO_SPACE: u64 = 64 << 20;
/// A client's connection, a provider's and now and then a process: for 1,000 streams at once.
const OPEN_FILES: u64 = 4096;

/// True if a craton answers there already.
pub(super) async fn port(address: SocketAddr, findings: &mut Vec<Finding>) -> bool {
    let what = format!("address {address}");
    let Err(taken) = TcpListener::bind(address).await else {
        findings.push(Finding::ok(what, "free"));
        return false;
    };
    let client = Client::new(&format!("http://{address}"));
    if let Ok(health) = client.get("craton", "/_craton/v1/health").await
        && let Some(version) = health["version"].as_str()
    {
        findings.push(Finding::ok(what, format!("craton {version} answers there")));
        return true;
    }
    let says = format!("cannot be listened on: {taken}");
    findings.push(Finding::fail(
        what,
        says,
        "stop what has it, or choose another --listen (CR0009)",
    ));
    false
}

pub(super) fn data_directory(dir: &Path, answers: bool, findings: &mut Vec<Finding>) {
    let what = format!("data directory {}", dir.display());
    let Some(there) = nearest(dir) else {
        findings.push(Finding::fail(
            what,
            "no part of the path exists",
            "choose another --data-dir (CR0003)",
        ));
        return;
    };
    if !there.is_dir() {
        let says = format!("{} is a file", there.display());
        findings.push(Finding::fail(what, says, "choose another --data-dir (CR0003)"));
        return;
    }
    if let Err(why) = access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        let says = format!("{} cannot be written to: {why}", there.display());
        let fix = "give this user the right to write there, or choose another --data-dir (CR0003)";
        findings.push(Finding::fail(what, says, fix));
        return;
    }
    findings.push(space(&what, &there));
    if Store::in_use(dir) {
        findings.push(match answers {
            true => Finding::ok(what, "a running craton has it open"),
            false => Finding::fail(
                what,
                "another craton has it open, and none answers at this address",
                "stop that one, or give --listen the address that it has (CR0004)",
            ),
        });
    }
}

/// The directory itself, or the one in which it would be made.
fn nearest(dir: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(dir).ok()?;
    whole.ancestors().find(|part| part.exists()).map(Path::to_owned)
}

fn space(what: &str, dir: &Path) -> Finding {
    let Ok(about) = statvfs(dir) else {
        let fix = "look at the disk yourself";
        return Finding::warn(what, "can be written to; its free space is not known", fix);
    };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let says = format!("can be written to, {:.1} GB free", free as f64 / f64::from(1 << 30));
    match free {
        ..NO_SPACE => Finding::fail(what, says, "make room; nothing can be committed without"),
        NO_SPACE..LITTLE_SPACE => Finding::warn(what, says, "make room before it fills up"),
        LITTLE_SPACE.. => Finding::ok(what, says),
    }
}

pub(super) fn files(findings: &mut Vec<Finding>) {
    let limit = getrlimit(Resource::Nofile).current;
    findings.push(match limit {
        Some(few) if few < OPEN_FILES => Finding::warn(
            "open files",
            format!("{few} at once; a thousand streams need about {OPEN_FILES}"),
            "ulimit -n 65536 before `craton up`, or LimitNOFILE=65536 in its unit",
        ),
        Some(many) => Finding::ok("open files", format!("{many} at once")),
        None => Finding::ok("open files", "without a limit"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_is_judged_by_the_one_it_would_be_made_in() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&home.path().join("a/b")), Some(home.path().to_owned()));
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mut findings = Vec::new();
        data_directory(&file.join("under"), false, &mut findings);
        assert!(findings[0].says.ends_with("is a file"), "{findings:?}");
        let _store = Store::open(home.path()).unwrap();
        data_directory(home.path(), false, &mut findings);
        assert_eq!(findings[2].state, super::super::State::Fail, "{findings:?}");
    }
}
