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
    authors: Vec<String>,
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
    license: Option<String>,
    authors: Vec<String>,
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
    let mut materials: Vec<Material> =
        linked.map(|package| material(package, &lock)).collect::<Result<_>>()?;
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

fn material(package: &Package, lock: &Lock) -> Result<Material> {
    let same = |locked: &&Locked| locked.name == package.name && locked.version == package.version;
    let licence = package.license.clone();
    Ok(Material {
        name: package.name.clone(),
        version: package.version.clone(),
        licence: licence.ok_or_else(|| format!("{} declares no licence", package.name))?,
        authors: package.authors.clone(),
        checksum: lock.package.iter().find(same).and_then(|locked| locked.checksum.clone()),
        folder: package.manifest_path.parent().unwrap_or(Path::new("")).to_owned(),
    })
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

/// The texts of the linked crates' licences, each under the crate's name.
pub(super) fn notices(materials: &[Material]) -> Result<String> {
    let mut text = String::from("Craton contains the following software, under these licences.\n");
    for material in materials.iter().filter(|material| material.checksum.is_some()) {
        let Material { name, version, licence, .. } = material;
        let rule = "=".repeat(78);
        text.push_str(&format!("\n{rule}\n{name} {version}: {licence}\n{rule}\n"));
        text.push_str(&licence_text(material)?);
    }
    Ok(text)
}

/// What the crate ships, or the text that its licence is known by.
fn licence_text(material: &Material) -> Result<String> {
    let mut text = String::new();
    for file in licence_files(&material.folder)? {
        text.push_str(&String::from_utf8_lossy(&fs::read(file)?));
        text.push('\n');
    }
    if text.is_empty() && material.licence.split([' ', '/']).any(|name| name == "MIT") {
        text = format!("Copyright (c) {}\n\n{MIT}", material.authors.join(", "));
    }
    if text.is_empty() {
        let Material { name, licence, .. } = material;
        return Err(format!("{name} ships no text of its licence, {licence}").into());
    }
    Ok(text)
}

/// SPDX: the text of the licence `MIT`.
const MIT: &str = "\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the \"Software\"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
";

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
        let materials = read("x86_64-unknown-linux-gnu").unwrap();
        let notices = notices(&materials).unwrap();
        for material in &materials {
            let title = format!("\n{} {}: ", material.name, material.version);
            assert_eq!(notices.contains(&title), material.checksum.is_some(), "{title}");
        }
    }

    #[test]
    fn a_crate_whose_licence_has_no_text_is_an_error() {
        let crate_of = |licence: &str| Material {
            name: "bare".to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            authors: vec!["Ann".to_owned()],
            checksum: Some(String::new()),
            folder: root().join("models"),
        };
        assert!(
            licence_text(&crate_of("MIT OR Apache-2.0")).unwrap().starts_with("Copyright (c) Ann")
        );
        let refused = licence_text(&crate_of("BSD-3-Clause")).unwrap_err();
        assert_eq!(refused.to_string(), "bare ships no text of its licence, BSD-3-Clause");
    }
}
