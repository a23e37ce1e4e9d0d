//! AWS's Signature Version 4 suite against this crate's verifier: `--data DIR`, the suite in
//! `DIR/sigv4`. Each case is a request and the signature that a right client gives it.
//!
//! No case is left out. What only a client can do is done on the way in: folded header lines are
//! unfolded (HTTP/1.1 has done away with them; the listener refuses them), and the time of the
//! request stands for the clock.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool that reads trusted files")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use front::sigv4::{Claim, Payload, Refusal};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use net::sigv4::Signed;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z, in all of the suite.
const NOW: i64 = 1_440_938_160_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, data] = &arguments[..] else { return usage() };
    if flag != "--data" {
        return usage();
    }
    let mut cases = Vec::new();
    collect(&Path::new(data).join("sigv4"), &mut cases);
    let mut failed = 0;
    for case in &cases {
        if let Err(refusal) = run(case) {
            failed += 1;
            println!("  failed {}: {refusal:?}", case.display());
        }
    }
    println!("sigv4: {} of {} pass", cases.len() - failed, cases.len());
    if failed == 0 && !cases.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    println!("usage: vectors --data DIR");
    ExitCode::FAILURE
}

fn collect(folder: &Path, cases: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, cases);
        } else if path.extension().is_some_and(|extension| extension == "sreq") {
            cases.push(path);
        }
    }
}

fn run(case: &Path) -> Result<(), Refusal> {
    let read = |extension: &str| {
        let text = std::fs::read_to_string(case.with_extension(extension)).unwrap();
        text.replace("\r\n", "\n")
    };
    let text = read("sreq");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let head = head.replace("\n ", " ");
    let (line, fields) = head.split_once('\n').unwrap();
    let (method, rest) = line.split_once(' ').unwrap();
    let target = rest.rsplit_once(" HTTP/").unwrap().0;
    let mut headers = headers(fields);
    // One signed request of the suite carries the signature of another; .authz is right.
    headers.insert("authorization", read("authz").trim().parse().unwrap());

    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Signed { method, path, query, headers: &headers, host: None };
    let claim = Claim::read(&headers, query)?.ok_or(Refusal::Missing)?;
    claim.check_head(&headers, NOW)?;
    claim.verify(&request, Payload::Whole(body.as_bytes()), SECRET)
}

fn headers(fields: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields.lines().filter_map(|line| line.split_once(':')) {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).unwrap());
    }
    headers
}
