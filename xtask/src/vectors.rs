//! `cargo xtask vectors --data DIR`: public test vectors, run by the crates they test.
//!
//! The runners are examples of their crates, so that xtask itself builds without the tables that
//! it generates. DIR is wherever the vectors lie; they are not part of the repository.

use std::process::Command;

use crate::{Outcome, root};

/// Crate and example; each takes `--data DIR`, prints its suites and fails when a vector fails.
const RUNNERS: [(&str, &str); 2] = [("wire", "vectors"), ("front", "signatures")];

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let [flag, data] = arguments else {
        return Err("usage: cargo xtask vectors --data DIR".into());
    };
    if flag != "--data" {
        return Err(format!("{flag} is unknown; usage: cargo xtask vectors --data DIR").into());
    }
    let data = std::path::absolute(data)?;
    let mut failed = Vec::new();
    for (package, example) in RUNNERS {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--package", package, "--example", example, "--", "--data"]);
        let status = cargo.arg(&data).current_dir(root()).status()?;
        if !status.success() {
            failed.push(package);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("vectors fail in {failed:?}").into()) }
}
