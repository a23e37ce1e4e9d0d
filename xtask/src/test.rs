//! `cargo xtask test`: all that CI runs, in its order, with what each step took.
//!
//! With `--long` the suites of crashes and lost replies run in their long forms, which take an hour.
//! A failed step does not keep the next from running. The last line is `N passed, N failed`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::{cargo, succeed, target};
use crate::{Outcome, clients, codegen, debian, demo, python, root, tidy};

/// Looks at licences, sources and bans. Pinned; debug settings, as it runs for a second.
const CARGO_DENY: &str = "0.20.2";

/// One step's outcome, its tests counted where it has any.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Count {
    passed: u64,
    failed: u64,
}

struct Report {
    name: &'static str,
    count: Count,
    took: Duration,
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    match arguments {
        [] => {}
        [only] if only == "--long" => return succeed(&mut long()?),
        _ => return Err("usage: cargo xtask test [--long]".into()),
    }
    let mut reports = Vec::new();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let began = Instant::now();
        let count = step().unwrap_or_else(|failure| {
            eprintln!("xtask: {name}: {failure}");
            Count { passed: 0, failed: 1 }
        });
        reports.push(Report { name, count, took: began.elapsed() });
    }
    conclude(&reports)
}

/// The same with the variable by which the suites know that there is time.
fn long() -> Result<Command, std::io::Error> {
    let mut all = Command::new(std::env::current_exe()?);
    all.arg("test").env("CRATON_LONG", "1");
    Ok(all)
}

type Step = fn() -> Result<Count, Box<dyn std::error::Error>>;

const STEPS: [(&str, Step); 14] = [
    ("format", || one(succeed(&mut cargo(&["fmt", "--all", "--check"])))),
    ("codegen shows no diff", || one(codegen::run(&["--check".to_owned()]))),
    ("tidy", || one(tidy::run())),
    ("clippy", || one(succeed(&mut cargo(&CLIPPY)))),
    ("licences, sources, bans", || one(deny())),
    ("cargo test", || counted(&mut cargo(&["test", "--workspace", "--no-fail-fast"]))),
    ("packages for Node.js", || one(clients::javascript())),
    ("client of the SDK for Rust", || one(clients::rust())),
    ("browser", || one(debian::browser())),
    ("programs for handlers", || one(debian::handlers())),
    ("scenarios", scenarios),
    ("conformance", conformance),
    ("clients from PyPI", python_clients),
    ("demo", || counted(&mut demo::play()?)),
];

const CLIPPY: [&str; 6] = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];

fn one(outcome: Outcome) -> Result<Count, Box<dyn std::error::Error>> {
    outcome.map(|()| Count { passed: 1, failed: 0 })
}

fn deny() -> Outcome {
    let mut deny = Command::new(cargo_deny()?);
    succeed(
        deny.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
            .current_dir(root()),
    )
}

/// The pinned cargo-deny, built on first use: a minute of one core without optimisation.
fn cargo_deny() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let home = target().join("tools");
    let binary = home.join("bin/cargo-deny");
    let stamp = home.join("cargo-deny.version");
    if std::fs::read_to_string(&stamp).is_ok_and(|version| version == CARGO_DENY) {
        return Ok(binary);
    }
    let mut install =
        cargo(&["install", "--quiet", "--locked", "--version", CARGO_DENY, "cargo-deny"]);
    install.arg("--root").arg(&home).env("CARGO_TARGET_DIR", home.join("build"));
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
    succeed(&mut install)?;
    std::fs::remove_dir_all(home.join("build"))?;
    std::fs::write(stamp, CARGO_DENY)?;
    Ok(binary)
}

/// The scenarios of the examples, played by the verb that people play theirs with.
fn scenarios() -> Result<Count, Box<dyn std::error::Error>> {
    succeed(&mut cargo(&["build", "--quiet", "--package", "craton"]))?;
    let mut test = Command::new(target().join("debug/craton"));
    test.args(["test", "--rules"]).current_dir(root());
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("examples/scenarios"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    counted(test.args(files))
}

fn conformance() -> Result<Count, Box<dyn std::error::Error>> {
    pytest(python::conformance()?, "conformance")
}

/// Frameworks that cannot share an environment have one each.
fn python_clients() -> Result<Count, Box<dyn std::error::Error>> {
    let mut all = Count::default();
    for folder in ["frameworks", "crewai", "embeddings"] {
        let python = python::clients(folder)?;
        let count = pytest(python, &format!("conformance/clients/python/{folder}"))?;
        all.passed += count.passed;
        all.failed += count.failed;
    }
    Ok(all)
}

fn pytest(python: PathBuf, folder: &str) -> Result<Count, Box<dyn std::error::Error>> {
    succeed(&mut cargo(&["build", "--quiet", "--package", "craton"]))?;
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "--quiet", "--tb=short", "--color=no"]).arg(root().join(folder));
    pytest.env("CRATON", target().join("debug/craton"));
    // Compiling the frameworks anew takes longer than the cases do.
    pytest.env("PYTHONPYCACHEPREFIX", target().join("pycache"));
    counted(&mut pytest)
}

/// Runs a command, shows its output and counts the tests that it tells of.
fn counted(command: &mut Command) -> Result<Count, Box<dyn std::error::Error>> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("the output is not piped")?;
    let mut count = Count::default();
    for line in BufReader::new(out).lines() {
        let line = line?;
        println!("{line}");
        let told = tests_told(&line);
        count.passed += told.passed;
        count.failed += told.failed;
    }
    let ended_well = child.wait()?.success();
    match (ended_well, count) {
        (false, Count { failed: 0, .. }) => count.failed = 1,
        (true, Count { passed: 0, .. }) => count.passed = 1,
        _ => {}
    }
    Ok(count)
}

/// What a closing line of cargo test, pytest or the demo counts.
fn tests_told(line: &str) -> Count {
    let timed = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let closing = line.starts_with("test result: ")
        || line.contains(" claims held, ")
        || line.contains(" left out; ")
        || line.rsplit_once(" in ").is_some_and(|(_, rest)| timed(rest));
    if !closing {
        return Count::default();
    }
    let words: Vec<&str> = line.split([' ', ',', ';', '=']).filter(|w| !w.is_empty()).collect();
    let before = |noun: &str| {
        let at = words.iter().position(|word| *word == noun)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    let passed = before("passed").or_else(|| before("claims")).unwrap_or(0);
    let failed = before("failed").or_else(|| before("did")).unwrap_or(0);
    Count { passed, failed: failed + before("error").or_else(|| before("errors")).unwrap_or(0) }
}

fn conclude(reports: &[Report]) -> Outcome {
    println!();
    for Report { name, count, took } in reports {
        let Count { passed, failed } = count;
        println!("{name:<26}{passed:>6} passed{failed:>5} failed{:>8.1} s", took.as_secs_f64());
    }
    let passed: u64 = reports.iter().map(|report| report.count.passed).sum();
    let failed: u64 = reports.iter().map(|report| report.count.failed).sum();
    println!("\n{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err("not all is well".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted_and_others_are_not() {
        for (line, passed, failed) in [
            ("test result: ok. 39 passed; 0 failed; 1 ignored; 0 measured", 39, 0),
            ("test result: FAILED. 15 passed; 1 failed; 0 ignored", 15, 1),
            ("317 passed in 43.96s", 317, 0),
            ("1 failed, 316 passed in 43.96s", 316, 1),
            ("2 failed, 3 errors in 1.00s", 0, 5),
            ("== 1 failed, 316 passed, 2 warnings in 43.96s (0:00:43) ==", 316, 1),
            ("7 claims held, 1 did not", 7, 1),
            ("39 passed, 3 failed, 0 left out; 44695 tokens, $0.000000", 39, 3),
            ("test cases that passed in review", 0, 0),
            ("running 12 tests", 0, 0),
        ] {
            assert_eq!(tests_told(line), Count { passed, failed }, "{line}");
        }
    }
}
