//! Runs botocore's protocol test vectors from the server's side: `--data DIR`.
//!
//! DIR holds `protocol/input` (a request a client sends, and the parameters it means) and
//! `protocol/output` (a response, and the result a client reads in it). Each suite brings its own
//! model. Nothing of the data is part of this repository; `cargo xtask vectors` starts this.
#![expect(clippy::print_stdout, reason = "a command line tool speaks to standard output")]

mod input;
mod output;
mod values;
mod xml;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value as Json, json};
use wire::load;
use wire::model::{Operation, Service};

enum Verdict {
    Passed,
    Failed(String),
    /// Why it says nothing about a server.
    Skipped(&'static str),
}

/// One case with its suite's model in table form.
struct Case<'a> {
    service: &'static Service,
    operation: &'static Operation,
    json: &'a Json,
}

type Check = fn(&Case<'_>) -> Verdict;

const SUITES: [(&str, Check); 4] = [
    ("input/rest-json", input::check),
    ("input/query", input::check),
    ("output/rest-json", output::check),
    ("output/query", output::check),
];

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vectors: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize, Box<dyn Error>> {
    let data = data_dir().ok_or("usage: vectors --data DIR")?;
    let mut failed = 0;
    for (suite, check) in SUITES {
        failed += run_suite(&data, suite, check)?;
    }
    Ok(failed)
}

fn data_dir() -> Option<PathBuf> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--data");
    arguments.nth(1).map(PathBuf::from)
}

fn run_suite(data: &Path, suite: &str, check: Check) -> Result<usize, Box<dyn Error>> {
    let path = data.join("protocol").join(suite).with_extension("json");
    let text = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let suites: Vec<Json> = serde_json::from_slice(&text)?;
    let (mut passed, mut failed) = (0, 0);
    let mut skipped: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for json in &suites {
        for case in json["cases"].as_array().into_iter().flatten() {
            let id = case["id"].as_str().unwrap_or("?").to_owned();
            match check(&load_case(json, case)?) {
                Verdict::Passed => passed += 1,
                Verdict::Skipped(reason) => skipped.entry(reason).or_default().push(id),
                Verdict::Failed(why) => {
                    failed += 1;
                    println!("  FAILED {id}: {why}");
                }
            }
        }
    }
    let count: usize = skipped.values().map(Vec::len).sum();
    println!("{suite}: {passed} passed, {failed} failed, {count} skipped");
    for (reason, ids) in skipped {
        println!("  skipped ({reason}): {}", ids.join(", "));
    }
    Ok(failed)
}

fn load_case<'a>(suite: &Json, case: &'a Json) -> Result<Case<'a>, Box<dyn Error>> {
    let given = &case["given"];
    let name = given["name"].as_str().ok_or("a case without operation")?;
    let model = json!({
        "metadata": suite["metadata"], "shapes": suite["shapes"], "operations": { name: given },
    });
    let service = load::service(&model)?;
    let operation = service.operation(name).ok_or("the operation was just loaded")?;
    Ok(Case { service, operation, json: case })
}
