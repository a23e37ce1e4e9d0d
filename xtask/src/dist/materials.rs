//! What is linked into the binary: every crate that `craton` reaches by ordinary dependencies, as
//! a CycloneDX bill and as the notices that their licences ask to be passed on.
//!
//! Written here rather than by a library: it is one JSON document of names that Cargo knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Result;
use crate::root;
use crate::shell::cargo;

/// One crate in the binary.
#[derive(Debug, Clone)]
pub(super) struct Material {
    name: String,
    version: String,
    /// An SPDX expression.
    licence: String,
    /// SHA-256 of the published package; `None` for our own.
    checksum: Option<String>,
    folder: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    #[serde(default)]
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` is an ordinary dependency; else `dev` or `build`.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The crates of the binary for a target, in order of their names.
pub(super) fn read(triple: &str) -> Result<Vec<Material>> {
    let mut ask = cargo(&["metadata", "--format-version", "1", "--locked"]);
    let told = ask.args(["--filter-platform", triple]).output()?;
    let metadata: Metadata = serde_json::from_slice(&told.stdout)
        .map_err(|e| format!("cargo metadata: {e}: {}", String::from_utf8_lossy(&told.stderr)))?;
    let lock: Lock = toml::from_str(&fs::read_to_string(root().join("Cargo.lock"))?)?;
    let reached = reached(&metadata)?;
    let linked = metadata.packages.iter().filter(|package| reached.contains(&package.id));
    let mut materials: Vec<Material> = linked.map(|package| material(package, &lock)).collect();
    materials.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(materials)
}

fn reached(metadata: &Metadata) -> Result<BTreeSet<String>> {
    let craton = metadata.packages.iter().find(|p| p.name == "craton" && p.source.is_none());
    let mut open = vec![craton.ok_or("cargo metadata has no craton")?.id.clone()];
    let mut reached = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !reached.insert(id.clone()) {
            continue;
        }
        let node = metadata.resolve.nodes.iter().find(|node| node.id == id);
        for dependency in node.map(|node| &node.deps[..]).unwrap_or_default() {
            if dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                open.push(dependency.pkg.clone());
            }
        }
    }
    Ok(reached)
}

fn material(package: &Package, lock: &Lock) -> Material {
    let same = |locked: &&Locked| locked.name == package.name && locked.version == package.version;
    Material {
        name: package.name.clone(),
        version: package.version.clone(),
        licence: package.license.clone().unwrap_or_else(|| "Apache-2.0".to_owned()),
        checksum: lock.package.iter().find(same).and_then(|locked| locked.checksum.clone()),
        folder: package.manifest_path.parent().unwrap_or(Path::new("")).to_owned(),
    }
}

/// The bill in CycloneDX 1.5.
pub(super) fn bill(materials: &[Material], version: &str) -> String {
    let ours = json!({
        "type": "application", "bom-ref": "craton", "name": "craton", "version": version,
        "licenses": [{ "expression": "Apache-2.0" }],
    });
    let components: Vec<Json> =
        materials.iter().filter(|m| m.name != "craton").map(component).collect();
    let bill = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": ours },
        "components": components,
    });
    format!("{bill:#}\n")
}

fn component(material: &Material) -> Json {
    let Material { name, version, licence, checksum, .. } = material;
    // Some manifests still write the older form of "or".
    let licence = licence.replace('/', " OR ");
    let mut component = json!({
        "type": "library", "bom-ref": format!("{name}@{version}"), "name": name, "version": version,
        "licenses": [{ "expression": licence }],
    });
    if let Some(checksum) = checksum {
        component["purl"] = format!("pkg:cargo/{name}@{version}").into();
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// The texts that the linked crates ship with, each under the crate's name.
pub(super) fn notices(materials: &[Material]) -> Result<String> {
    let mut text = String::from("Craton contains the following software, under these licences.\n");
    for material in materials.iter().filter(|material| material.checksum.is_some()) {
        let Material { name, version, licence, .. } = material;
        let rule = "=".repeat(78);
        text.push_str(&format!("\n{rule}\n{name} {version}: {licence}\n{rule}\n"));
        for file in licence_files(&material.folder)? {
            text.push_str(&String::from_utf8_lossy(&fs::read(file)?));
            text.push('\n');
        }
    }
    Ok(text)
}

fn licence_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let speaks = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];
        if path.is_file() && speaks.iter().any(|word| name.starts_with(word)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_names_what_is_linked_and_nothing_that_only_builds_or_tests() {
        let materials = read("x86_64-unknown-linux-gnu").unwrap();
        let bill: Json = serde_json::from_str(&bill(&materials, "9.9.9")).unwrap();
        let find = |name: &str| {
            let components = bill["components"].as_array().unwrap();
            components.iter().find(|component| component["name"] == name).cloned()
        };
        let hyper = find("hyper").expect("hyper is linked in");
        assert_eq!(hyper["hashes"][0]["alg"], "SHA-256");
        assert!(hyper["purl"].as_str().unwrap().starts_with("pkg:cargo/hyper@"));
        assert_eq!(find("engine").expect("our own crates count")["purl"], Json::Null);
        assert_eq!((find("proptest"), find("expect-test"), find("cc")), (None, None, None));
        assert_eq!(bill["metadata"]["component"]["version"], "9.9.9");
    }

    #[test]
    fn every_foreign_crate_brings_the_text_of_its_licence() {
        let notices = notices(&read("x86_64-unknown-linux-gnu").unwrap()).unwrap();
        assert!(notices.contains("Permission is hereby granted"));
        assert!(!notices.contains("\nengine 0"));
    }
}
