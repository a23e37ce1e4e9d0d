//! What code in a function tries in order to get out, and that none of it succeeds.
//!
//! An attempt is a few lines of Python (`attempts/`, a file per family), deployed as a function as
//! any tenant would. Each runs twice: in the jail, where it must be refused for a reason that is the
//! jail's, and in a plain process, where it must succeed: an attempt that fails there too proves
//! nothing and is not counted. The test becomes another program for this, in namespaces of its own
//! with something in every place that an attempt reaches for (`stage.py`), once as root and once as
//! an ordinary user.

mod bombs;
mod stage;

use std::collections::BTreeMap;

use exec::{Function, Functions};
use serde::Deserialize;
use serde_json::{Value, json};

use self::stage::{Kind, Stage};

/// What an attempt says of itself.
#[derive(Debug, Deserialize)]
struct Outcome {
    family: String,
    name: String,
    did: Option<String>,
    refused: Option<String>,
    words: Option<String>,
    broken: Option<String>,
}

impl Outcome {
    fn name(&self) -> String {
        format!("{}: {}", self.family, self.name.replace('_', " "))
    }
}

const ATTEMPTS: &[(&str, &str)] = &[
    ("main.py", include_str!("attempts/main.py")),
    ("common.py", include_str!("attempts/common.py")),
    ("files.py", include_str!("attempts/files.py")),
    ("procfs.py", include_str!("attempts/procfs.py")),
    ("namespaces.py", include_str!("attempts/namespaces.py")),
    ("capabilities.py", include_str!("attempts/capabilities.py")),
    ("processes.py", include_str!("attempts/processes.py")),
    ("keyring.py", include_str!("attempts/keyring.py")),
    ("kernel.py", include_str!("attempts/kernel.py")),
    ("sockets.py", include_str!("attempts/sockets.py")),
    ("metadata.py", include_str!("attempts/metadata.py")),
    ("descriptors.py", include_str!("attempts/descriptors.py")),
    ("devices.py", include_str!("attempts/devices.py")),
];

/// What a wall answers. Anything else, `EINVAL` for one, may be the attempt's own mistake.
const ANSWERS_OF_A_WALL: &[&str] = &[
    "Refused",
    "EPERM",
    "EACCES",
    "ENOENT",
    "ESRCH",
    "ENOSYS",
    "EROFS",
    "ENOTDIR",
    "EAFNOSUPPORT",
    "ESOCKTNOSUPPORT",
    "EPROTONOSUPPORT",
    "ECONNREFUSED",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "EADDRNOTAVAIL",
    "ECONNRESET",
    "EAI",
    "ENXIO",
    "ENODEV",
    "EXDEV",
    "SIGSYS",
];

/// The same from Node.js, whose jail knows more calls and fewer limits.
const FROM_NODE: &str = r#"
import { execFileSync } from "node:child_process";
export const handler = async (event) => {
  const options = { input: JSON.stringify(event), maxBuffer: 1 << 26 };
  return JSON.parse(execFileSync("/usr/bin/python3", ["/var/task/main.py"], options));
};
"#;

#[test]
fn nothing_gets_out_of_the_jail_of_a_server_that_is_root() {
    stage::set("root", "nothing_gets_out_of_the_jail_of_a_server_that_is_root", attempt_all);
}

#[test]
fn nothing_gets_out_of_the_jail_of_a_server_that_is_an_ordinary_user() {
    let name = "nothing_gets_out_of_the_jail_of_a_server_that_is_an_ordinary_user";
    stage::set("nobody", name, attempt_all);
}

async fn attempt_all(stage: Stage) {
    let outside = stage.open(Kind::Process);
    let controls = attempts(&stage, &outside, Kind::Process).await;
    let visitors = stage.visitors();
    assert!(visitors.len() > 20, "controls reach what listens outside: {visitors:?}");
    let inside = stage.open(Kind::Jail);
    let jailed = attempts(&stage, &inside, Kind::Jail).await;
    judge(&stage, &controls, &jailed);
    let from_node = attempts_from_node(&stage, &inside).await;
    judge(&stage, &controls, &from_node);
    assert_eq!(stage.visitors(), visitors, "nobody from the jail was seen outside");
    report(&controls);
}

async fn attempts(stage: &Stage, functions: &Functions, kind: Kind) -> Vec<Outcome> {
    let attacker = stage.function(functions, "attacker", ATTEMPTS).await;
    let world = world(stage, functions, kind).await;
    let told = stage.answer(functions, &attacker, json!({ "world": world })).await;
    serde_json::from_value(told).unwrap()
}

async fn attempts_from_node(stage: &Stage, functions: &Functions) -> Vec<Outcome> {
    let files = [ATTEMPTS, &[("index.mjs", FROM_NODE)]].concat();
    let attacker = Function {
        runtime: "nodejs20.x".to_owned(),
        handler: "index.handler".to_owned(),
        ..stage.function(functions, "attacker-from-node", &files).await
    };
    let world = world(stage, functions, Kind::Jail).await;
    let told = stage.answer(functions, &attacker, json!({ "world": world })).await;
    serde_json::from_value(told).unwrap()
}

/// What there is to reach for, with another function of the same server.
async fn world(stage: &Stage, functions: &Functions, kind: Kind) -> Value {
    // Its code holds the secret, and its process is another's to every attempt.
    let source = format!("import os\nSECRET = {:?}\n", stage.secret)
        + "def handler(event, context): return os.environ['AWS_LAMBDA_RUNTIME_API']\n";
    let victim = stage.function(functions, "victim", &[("main.py", &source)]).await;
    let mut world = stage.world.clone();
    world["other_api"] = stage.answer(functions, &victim, json!({})).await;
    world["code"] = json!(stage.work_dir(kind).join("code"));
    world["jailed"] = json!(kind == Kind::Jail);
    world
}

fn judge(stage: &Stage, controls: &[Outcome], jailed: &[Outcome]) {
    assert_eq!(controls.len(), jailed.len(), "both ran all of them");
    let mut wrong = Vec::new();
    let mut counted = BTreeMap::<&str, Vec<&Outcome>>::new();
    for (control, jailed) in controls.iter().zip(jailed) {
        assert_eq!((&control.family, &control.name), (&jailed.family, &jailed.name));
        wrong.extend(wrong_with(control, jailed));
        let family = counted.entry(&control.family).or_default();
        if control.did.is_some() {
            family.push(jailed);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let total: usize = counted.values().map(Vec::len).sum();
    if stage.is_privileged() {
        assert!(total >= 120, "only {total} attempts have a control that succeeds here");
        assert!(counted.values().all(|family| family.len() >= 5), "every family: {counted:?}");
    }
}

fn wrong_with(control: &Outcome, jailed: &Outcome) -> Option<String> {
    let name = jailed.name();
    if let Some(broken) = control.broken.as_ref().or(jailed.broken.as_ref()) {
        return Some(format!("{name}: the attempt itself is broken: {broken}"));
    }
    if let Some(did) = &jailed.did {
        return Some(format!("{name}: ESCAPED: {did}"));
    }
    let refused = jailed.refused.as_deref().unwrap_or_default();
    let by_a_wall = ANSWERS_OF_A_WALL.contains(&refused);
    // What fails alike outside says nothing, and is not counted either.
    let proves = control.did.is_some();
    let words = jailed.words.as_deref().unwrap_or_default();
    (proves && !by_a_wall).then(|| format!("{name}: {refused} is no wall's answer: {words}"))
}

/// What was not counted, and why.
fn report(controls: &[Outcome]) {
    let counted = controls.iter().filter(|control| control.did.is_some()).count();
    let mut told = format!("{counted} of {} attempts have a control here", controls.len());
    for control in controls.iter().filter(|control| control.did.is_none()) {
        let words = control.words.as_deref().unwrap_or_default();
        told += &format!("\ncontrol not possible here: {}: {words}", control.name());
    }
    stage::report(&told);
}
