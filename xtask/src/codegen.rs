//! `cargo xtask codegen`: AWS's published models become the wire's tables and types.
//!
//! botocore's model → `models/<service>.json` (stripped, pinned) → `crates/wire/src/gen/` and
//! `docs/coverage.md`. The first step runs only when the pinned version changes or on `--fetch`;
//! the rest works offline. `--check` writes nothing and fails if anything would change.

mod corrections;
mod coverage;
mod endpoint;
mod fetch;
mod foreign;
mod names;
mod plan;
mod reach;
mod source;
mod tables;
mod types;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Outcome, root};
use plan::Plan;
use source::Model;

/// Files to write: path from the root and content.
type Files = BTreeMap<PathBuf, String>;

const GEN: &str = "crates/wire/src/gen";

/// One service: its model and what is done with its operations.
struct Service {
    name: String,
    model: Model,
    plan: Plan,
}

impl Service {
    /// Name of the Rust module.
    fn module(&self) -> String {
        self.name.replace('-', "_")
    }
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (mut check, mut refetch) = (false, false);
    for argument in arguments {
        match argument.as_str() {
            "--check" => check = true,
            "--fetch" => refetch = true,
            other => return Err(format!("codegen does not know the option {other}").into()),
        }
    }
    let plans = plan::read(&root().join("models/operations.toml"))?;
    fetch::models(&plans, refetch)?;
    let services = load(plans)?;
    let files = render(&services)?;
    if check { verify(&files) } else { write(&files) }
}

fn load(plans: BTreeMap<String, Plan>) -> Result<Vec<Service>, Box<dyn std::error::Error>> {
    let corrections = corrections::read(&root().join("models/corrections.toml"))?;
    let mut services = Vec::new();
    for (name, plan) in plans {
        let path = root().join("models").join(format!("{name}.json"));
        let mut model: Model = serde_json::from_slice(&fs::read(&path)?)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        plan.compare(&name, &model)?;
        corrections::apply(&corrections, &name, &mut model)?;
        services.push(Service { name, model, plan });
    }
    Ok(services)
}

fn render(services: &[Service]) -> Result<Files, Box<dyn std::error::Error>> {
    let mut files = Files::new();
    let directory = Path::new(GEN);
    for service in services {
        let module = service.module();
        files.insert(directory.join(format!("{module}.rs")), tables::render(service)?);
        files.insert(directory.join(module).join("types.rs"), types::render(service)?);
    }
    files.insert(directory.join("mod.rs"), tables::render_index(services));
    files.insert("docs/coverage.md".into(), coverage::render(services));
    Ok(files)
}

fn write(files: &Files) -> Outcome {
    for (path, content) in files {
        let path = root().join(path);
        fs::create_dir_all(path.parent().expect("every path has a directory"))?;
        if fs::read_to_string(&path).is_ok_and(|old| old == *content) {
            continue;
        }
        fs::write(&path, content)?;
        println!("wrote {}", path.display());
    }
    for path in strangers(files)? {
        fs::remove_file(root().join(&path))?;
        println!("removed {}", path.display());
    }
    Ok(())
}

fn verify(files: &Files) -> Outcome {
    let mut stale = strangers(files)?;
    for (path, content) in files {
        if !fs::read_to_string(root().join(path)).is_ok_and(|old| old == *content) {
            stale.push(path.clone());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = stale.iter().map(|path| path.display().to_string()).collect();
    Err(format!("run `cargo xtask codegen` and commit: {} would change", names.join(", ")).into())
}

/// Files below `gen/` that codegen did not make.
fn strangers(files: &Files) -> Result<Vec<PathBuf>, std::io::Error> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::from(GEN)]);
    while let Some(directory) = open.pop() {
        if !root().join(&directory).exists() {
            continue;
        }
        for entry in fs::read_dir(root().join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if !files.contains_key(&path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}
