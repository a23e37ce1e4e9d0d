//! Takes the pinned botocore from PyPI and strips its models into `models/`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::codegen::foreign;
use crate::codegen::plan::Plan;
use crate::codegen::source::Model;
use crate::{Outcome, root};

/// Prints one model out of a wheel; Python is there anyway, for pip.
const UNPACK: &str = "import gzip, sys, zipfile
wheel, name = sys.argv[1:]
sys.stdout.buffer.write(gzip.decompress(zipfile.ZipFile(wheel).read(name)))";

/// Makes `models/<service>.json` and `models/foreign.txt` where they are missing or of another
/// version.
pub(crate) fn models(plans: &BTreeMap<String, Plan>, refetch: bool) -> Outcome {
    let version = fs::read_to_string(root().join("models/botocore.version"))?;
    let version = version.trim();
    let stale: Vec<_> =
        plans.iter().filter(|(name, _)| refetch || !is_current(name, version)).collect();
    let foreign_stale = refetch || !foreign::is_current(version);
    if stale.is_empty() && !foreign_stale {
        return Ok(());
    }
    let wheel = download(version)?;
    if foreign_stale {
        foreign::strip(&wheel, version)?;
    }
    for (name, plan) in stale {
        let mut model = unpack(&wheel, name, &plan.model)?;
        version.clone_into(&mut model.botocore);
        fs::write(path(name), model.to_lines()?)?;
        println!("stripped {name} {} of botocore {version}", plan.model);
    }
    Ok(())
}

fn path(service: &str) -> PathBuf {
    root().join("models").join(format!("{service}.json"))
}

fn is_current(service: &str, version: &str) -> bool {
    let head = format!("{{\"botocore\":{version:?},");
    fs::read_to_string(path(service)).is_ok_and(|text| text.starts_with(&head))
}

fn download(version: &str) -> Result<PathBuf, Box<dyn Error>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let directory = target.join("botocore");
    let wheel = directory.join(format!("botocore-{version}-py3-none-any.whl"));
    if wheel.exists() {
        return Ok(wheel);
    }
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d"])
        .arg(&directory)
        .arg(format!("botocore=={version}"))
        .status()
        .map_err(|e| format!("python3 could not be started: {e}"))?;
    if !status.success() || !wheel.exists() {
        return Err(format!("pip could not download botocore {version}").into());
    }
    Ok(wheel)
}

fn unpack(wheel: &Path, service: &str, api_version: &str) -> Result<Model, Box<dyn Error>> {
    let name = format!("botocore/data/{service}/{api_version}/service-2.json.gz");
    let output = Command::new("python3").args(["-c", UNPACK]).arg(wheel).arg(&name).output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} could not be unpacked: {reason}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
