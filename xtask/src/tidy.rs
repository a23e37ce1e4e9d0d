//! `cargo xtask tidy`: the walls of the house as a check. What it enforces is named in
//! ARCHITECTURE.md, "Invariants and what enforces them".
//!
//! It reads files and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Outcome, root};

/// Which crates of ours each crate may use: down only, and never a sibling.
const MAY_USE: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("net", &[]),
    ("store", &["net"]),
    ("core", &["wire"]),
    ("llm", &["wire", "net"]),
    ("exec", &["wire", "net"]),
    ("engine", &["wire", "craton-core", "store", "llm", "exec"]),
    ("api", &["wire", "craton-core", "store", "llm", "exec", "engine"]),
    ("front", &["wire", "net", "engine", "api"]),
    ("craton", &["wire", "craton-core", "net", "store", "llm", "exec", "engine", "front"]),
];

/// Libraries that only these crates may use directly.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("hyper-rustls", &["net"]),
    ("jsonschema", &["core", "llm"]),
    ("clap", &["craton"]),
    ("clap_complete", &["craton"]),
    ("tracing-subscriber", &["craton"]),
];

/// Words that must not stand in a crate's sources, tests apart, and the files that may hold them.
const FORBIDDEN: &[(&str, &[&str], &[&str])] = &[
    ("core", &["async ", "tokio", "std::time", "std::fs", "std::net", "std::env"], &[]),
    ("wire", &["async ", "tokio", "::now()", "std::fs", "std::net", "std::env"], &[]),
    ("engine", &["SystemTime::now", "Timestamp::now"], &["env.rs"]),
    ("api", &["SystemTime::now", "Timestamp::now", "Instant::now"], &[]),
    ("front", &["SystemTime::now", "Timestamp::now"], &[]),
    // Signatures and dates of `Retry-After` are of the day.
    ("llm", &["SystemTime::now", "Timestamp::now", "Instant::now"], &["remote.rs"]),
    ("store", &["SystemTime::now", "Timestamp::now"], &[]),
];

/// Where chance comes from. One file may draw it.
const CHANCE: &[&str] = &["RandomState", "getrandom::", "rand::", "fastrand", "Uuid::new"];
const CHANCE_HOME: &str = "crates/engine/src/env.rs";

/// How something leaves for another machine. That is net's to do, under its rules.
const LEAVING: &[&str] = &[
    "TcpStream::connect",
    "HttpConnector",
    "client::conn",
    "client::legacy",
    "UdpSocket",
    "TcpSocket",
];
const LEAVING_HOME: &str = "crates/net/src/";

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;

pub(crate) fn run() -> Outcome {
    let files = sources(&root().join("crates"), "rs")?;
    let mut problems = dependencies()?;
    for (path, text) in &files {
        problems.extend(forbidden(path, text));
        problems.extend(shape(path, text));
    }
    let page = fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    problems.extend(paths_named(&page));
    problems.extend(tests_named(&page, &files)?);
    problems.extend(numbers(&files)?);
    if problems.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        return Ok(());
    }
    Err(problems.join("\n").into())
}

/// The files of a folder by their ending, without generated ones, with their paths below the root.
fn sources(folder: &Path, ending: &str) -> std::io::Result<BTreeMap<String, String>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let generated = path.components().any(|part| part.as_os_str() == "gen");
            if path.is_dir() && !generated {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == ending) && !generated {
                let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
                found.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

fn dependencies() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut problems = Vec::new();
    let ours: Vec<&str> = MAY_USE
        .iter()
        .map(|(name, _)| if *name == "core" { "craton-core" } else { name })
        .collect();
    for (name, allowed) in MAY_USE {
        let path = root().join("crates").join(name).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(path)?.parse()?;
        let table = manifest.get("dependencies").and_then(toml::Value::as_table);
        for used in table.into_iter().flat_map(toml::Table::keys) {
            if ours.contains(&used.as_str()) && !allowed.contains(&used.as_str()) {
                problems.push(format!("crates/{name} uses {used}: arrows go down only"));
            }
            let owners = ONLY_IN.iter().find(|(library, _)| library == used);
            if owners.is_some_and(|(_, crates)| !crates.contains(name)) {
                problems.push(format!("crates/{name} uses {used}, which has one home elsewhere"));
            }
        }
    }
    Ok(problems)
}

fn forbidden(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, words, except) in FORBIDDEN {
        let ours = path.starts_with(&format!("crates/{name}/src/"));
        if !ours || is_test(path) || except.iter().any(|file| path.ends_with(file)) {
            continue;
        }
        problems.extend(said(path, text, words));
    }
    if !is_test(path) && path != CHANCE_HOME {
        problems.extend(said(path, text, CHANCE));
    }
    if !is_test(path) && !path.starts_with(LEAVING_HOME) {
        problems.extend(said(path, text, LEAVING));
    }
    problems
}

/// Each line of code, comments and tests apart, that says one of the words.
fn said(path: &str, text: &str, words: &[&str]) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or(line)).enumerate();
    let found =
        lines.filter_map(|(at, line)| Some((at, words.iter().find(|w| line.contains(**w))?)));
    found.map(|(at, word)| format!("{path}:{}: {word:?} has no place here", at + 1)).collect()
}

/// Messages end with a number, `(CR0007)`, whose page is docs/errors/CR0007.md: none without a page,
/// and no page without a message.
fn numbers(files: &BTreeMap<String, String>) -> std::io::Result<Vec<String>> {
    let pages = sources(&root().join("docs/errors"), "md")?;
    let page = |number: &str| format!("docs/errors/{number}.md");
    let (mut problems, mut used) = (Vec::new(), BTreeSet::new());
    for (path, text) in files.iter().filter(|(path, _)| !is_test(path)) {
        let code = text.split("#[cfg(test)]").next().unwrap_or(text);
        for (at, _) in code.match_indices("(CR") {
            let Some(number) = code.get(at + 1..at + 7) else { continue };
            if !code[at + 7..].starts_with(')') || !number[2..].bytes().all(|b| b.is_ascii_digit())
            {
                continue;
            }
            used.insert(page(number));
            if !pages.contains_key(&page(number)) {
                problems.push(format!("{path}: {number} has no page; write {}", page(number)));
            }
        }
    }
    let unused = pages.keys().filter(|page| !page.ends_with("README.md") && !used.contains(*page));
    problems.extend(unused.map(|page| format!("{page}: no message has this number")));
    Ok(problems)
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/")
        || path.contains("/sim/")
        || ["/tests.rs", "/sim.rs"].iter().any(|end| path.ends_with(end))
}

/// Opening essay, file length, function length.
fn shape(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") && !is_test(path) {
        problems.push(format!("{path}: a file opens with what it is"));
    }
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > FILE_LINES {
        problems.push(format!("{path}: {} lines, {FILE_LINES} is the end", lines.len()));
    }
    if is_test(path) {
        return problems;
    }
    let mut begun: Option<(usize, usize)> = None;
    for (number, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if begun.is_none() && is_function(line.trim_start()) {
            begun = Some((number, indent));
        }
        if let Some((from, depth)) = begun
            && indent == depth
            && matches!(line.trim(), "}" | "})")
        {
            if number - from + 1 > FUNCTION_LINES {
                let length = number - from + 1;
                problems.push(format!("{path}:{}: a function of {length} lines", from + 1));
            }
            begun = None;
        } else if begun.is_some_and(|(from, _)| from == number)
            && line.trim_end().ends_with(['}', ';'])
        {
            begun = None;
        }
    }
    problems
}

fn is_function(line: &str) -> bool {
    let bare = ["pub(crate) ", "pub(super) ", "pub ", "const ", "async "]
        .iter()
        .fold(line, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    bare.starts_with("fn ")
}

/// Paths in backticks that do not exist.
fn paths_named(text: &str) -> Vec<String> {
    let tops = ["crates/", "conformance/", "bench/", "xtask/", "docs/", "models/", "examples/"];
    let named = text.split('`').skip(1).step_by(2);
    let gone = named.filter(|name| {
        let is_path = tops.iter().any(|top| name.starts_with(top));
        is_path && !name.contains(['*', '<', ' ', '{']) && !root().join(name).exists()
    });
    gone.map(|name| format!("ARCHITECTURE.md names {name}, which is not there")).collect()
}

/// Words of a name from which on it can only be a test's.
const WORDS_OF_A_TEST: usize = 5;

/// Tests in backticks that do not exist.
fn tests_named(text: &str, rust: &BTreeMap<String, String>) -> std::io::Result<Vec<String>> {
    let python = sources(&root().join("conformance"), "py")?;
    let there = |name: &str| {
        let (files, said) = match name.starts_with("test_") {
            true => (&python, format!("def {name}(")),
            false => (rust, format!("fn {name}(")),
        };
        files.values().any(|text| text.contains(&said))
    };
    let is_test = |name: &&str| {
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        plain && name.split('_').count() >= WORDS_OF_A_TEST
    };
    let gone = text.split('`').skip(1).step_by(2).filter(is_test).filter(|name| !there(name));
    Ok(gone
        .map(|name| format!("ARCHITECTURE.md names the test {name}, which is not there"))
        .collect())
}
