//! Calls that must not see each other (`craton:clean`): what one leaves behind, and what the next
//! finds of it, beside the same without, where a process is reused as on AWS.

use exec::{Function, Isolation};
use serde_json::{Value, json};

use crate::Bench;

/// Leaves a mark in every place a handler can think of, and tells what it found there first.
const MARKS: &str = r#"
import builtins, json, os, subprocess, sys, threading, time
calls = 0

def beside():
    mine = set()
    for pid in os.listdir("/proc"):
        if pid.isdigit() and os.path.exists("/proc/%s/cmdline" % pid):
            try:
                if b"craton-left-behind" in open("/proc/%s/cmdline" % pid, "rb").read():
                    mine.add(pid)
            except OSError:
                pass
    return len(mine)

def handler(event, context):
    global calls
    calls += 1
    found = {
        "global": calls - 1,
        "environment": os.environ.get("MARK"),
        "patched": hasattr(builtins, "mark"),
        "tmp": os.path.exists("/tmp/marks/deep/mark"),
        "shm": os.path.exists("/dev/shm/mark"),
        "closed": os.stat("/tmp").st_mode & 0o777 != 0o777,
        "threads": threading.active_count() - 1,
        "beside": beside(),
        "descriptors": os.path.exists("/proc/self/fd/77"),
        "directory": os.getcwd() != os.environ["LAMBDA_TASK_ROOT"],
    }
    os.environ["MARK"] = "here"
    builtins.mark = True
    if event.get("leave"):
        os.makedirs("/tmp/marks/deep", exist_ok=True)
        open("/tmp/marks/deep/mark", "w").close()
        os.chmod("/tmp/marks/deep", 0)
        if os.path.isdir("/dev/shm"):
            open("/dev/shm/mark", "w").close()
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)",
                          "craton-left-behind"], start_new_session=True)
        os.dup2(1, 77)
        os.chdir("/tmp")
    return found
"#;

async fn leave_and_look(bench: &Bench, function: &Function) -> Value {
    bench.answer(function, json!({ "leave": true })).await;
    bench.answer(function, json!({})).await
}

fn nothing() -> Value {
    json!({
        "global": 0, "environment": null, "patched": false, "tmp": false, "shm": false,
        "closed": false, "threads": 0, "beside": 0, "descriptors": false, "directory": false,
    })
}

#[tokio::test]
async fn a_clean_call_finds_nothing_of_the_one_before() {
    let bench = Bench::new(|config| config.isolation = Isolation::Jail);
    let warm = bench.function(MARKS).await;
    let found = leave_and_look(&bench, &warm).await;
    assert_eq!(found["global"], 1, "the same process, as on AWS: {found}");
    assert_eq!((&found["beside"], &found["patched"]), (&json!(1), &json!(true)));
    let clean = Function { clean: true, ..warm };
    for _ in 0..3 {
        assert_eq!(leave_and_look(&bench, &clean).await, nothing());
    }
}

#[tokio::test]
async fn without_a_jail_a_clean_call_has_a_process_of_its_own() {
    let bench = Bench::new(|config| config.isolation = Isolation::Process);
    let source = "
import os
seen = []
def handler(event, context):
    seen.append(1)
    return [len(seen), os.getpid()]
";
    let clean = Function { clean: true, ..bench.function(source).await };
    let (one, two) = (bench.answer(&clean, json!({})).await, bench.answer(&clean, json!({})).await);
    assert_eq!((&one[0], &two[0]), (&json!(1), &json!(1)));
    assert_ne!(one[1], two[1]);
}

#[tokio::test]
async fn a_clean_call_of_node_has_a_process_of_its_own() {
    let bench = Bench::new(|config| config.isolation = Isolation::Jail);
    let source = "let calls = 0; exports.handler = async () => ++calls;";
    let node = bench.other("nodejs20.x", &[("index.js", source)], "index.handler").await;
    let clean = Function { clean: true, ..node };
    for _ in 0..3 {
        assert_eq!(bench.answer(&clean, json!({})).await, json!(1));
    }
}

#[tokio::test]
async fn a_clean_call_that_fails_or_dies_spoils_nothing() {
    let bench = Bench::new(|config| config.isolation = Isolation::Jail);
    let source = r#"
import os, signal, sys
def handler(event, context):
    how = event.get("how")
    if how == "raise": raise ValueError("no")
    if how == "exit": sys.exit(3)
    if how == "leave": os._exit(4)
    if how == "signal": os.kill(os.getpid(), signal.SIGSEGV)
    if how == "kill": os.kill(os.getpid(), signal.SIGKILL)
    return "fine"
"#;
    let clean = Function { clean: true, ..bench.function(source).await };
    let mut told = String::new();
    for how in ["raise", "exit", "leave", "signal", "kill"] {
        let invoked = bench.call(&clean, json!({ "how": how })).await.unwrap();
        let payload: Value = serde_json::from_slice(&invoked.payload).unwrap();
        let message = payload["errorMessage"].as_str().unwrap();
        let message = message.split_once("Error: ").map_or(message, |(_, rest)| rest);
        told.push_str(&format!("{how}: {} {message}\n", payload["errorType"].as_str().unwrap()));
        assert_eq!(bench.answer(&clean, json!({})).await, json!("fine"));
    }
    expect_test::expect![[r#"
        raise: ValueError no
        exit: Runtime.ExitError Runtime exited with error: exit status 3
        leave: Runtime.ExitError Runtime exited with error: exit status 4
        signal: Runtime.ExitError Runtime exited with error: signal: segmentation fault
        kill: Runtime.ExitError Runtime exited with error: signal: killed
    "#]]
    .assert_eq(&told);
}

/// A fork could else rewrite the process from which the next one is made.
#[tokio::test]
async fn a_clean_call_cannot_reach_into_what_the_next_is_made_of() {
    let bench = Bench::new(|config| config.isolation = Isolation::Jail);
    let source = r#"
import os
def handler(event, context):
    tried = {}
    for name in ("mem", "environ", "fd", "maps"):
        path = "/proc/%d/%s" % (os.getppid(), name)
        try:
            os.listdir(path) if name == "fd" else open(path, "r+b" if name == "mem" else "rb").read(1)
            tried[name] = "reached"
        except OSError as error:
            tried[name] = error.strerror
        path = "/proc/self/%s" % name
        os.listdir(path) if name == "fd" else open(path, "rb").close()
    return tried
"#;
    let clean = Function { clean: true, ..bench.function(source).await };
    let denied = "Permission denied";
    let expected = json!({ "mem": denied, "environ": denied, "fd": denied, "maps": denied });
    assert_eq!(bench.answer(&clean, json!({})).await, expected);
}

/// Does to the process that makes forks what one process of a user may do to another, then looks at
/// itself.
const SABOTAGE: &str = r#"
import fcntl, os, resource, signal, socket, struct, sys, threading
ID = None

def runtime_api(text):
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    way = socket.create_connection((host, int(port)))
    way.sendall(text.encode())
    return way

def handler(event, context):
    seen = {
        "stack": resource.getrlimit(resource.RLIMIT_STACK)[0] == 1234567,
        "processors": len(os.sched_getaffinity(0)) == 1,
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "waits": bool(fcntl.fcntl(1, fcntl.F_GETFL) & os.O_NONBLOCK),
        "list": "system.posix_acl_default" in os.listxattr("/tmp"),
    }
    maker = os.getppid()
    how = event.get("how")
    if how == "limit": resource.prlimit(maker, resource.RLIMIT_STACK, (1234567, 1234567))
    if how == "processor": os.sched_setaffinity(maker, {min(os.sched_getaffinity(0))})
    if how == "nice": os.setpriority(os.PRIO_PROCESS, maker, 19)
    if how == "stop": os.kill(maker, signal.SIGSTOP)
    if how == "output":
        fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_NONBLOCK)
    if how == "list":
        user, group = os.getuid(), os.getgid()
        entry = lambda tag, rights: struct.pack("<HHI", tag, rights, 0xffffffff)
        text = struct.pack("<I", 2) + entry(1, 0) + entry(4, 0) + entry(32, 0)
        os.setxattr("/tmp", "system.posix_acl_default", text)
    if how == "take":
        # Behind it stands more, so that the server does not see it end.
        next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
        sys.modules["kept"] = runtime_api(2 * next)
    if how == "talk":
        os.fork() or (os.setsid(), [print("later " * 100, flush=True) for _ in iter(int, 1)])
    return seen
"#;

#[tokio::test]
async fn a_clean_call_cannot_change_what_the_next_is_made_of() {
    let bench = Bench::new(|config| config.isolation = Isolation::Jail);
    let clean = Function { clean: true, ..bench.function(SABOTAGE).await };
    let untouched = bench.answer(&clean, json!({})).await;
    for how in ["limit", "processor", "nice", "stop", "output", "list", "take"] {
        // That the answer is right, and not only there, shows that nobody else's was taken for it.
        assert_eq!(bench.answer(&clean, json!({ "how": how })).await, untouched, "{how}");
        assert_eq!(bench.answer(&clean, json!({})).await, untouched, "after {how}");
    }
    bench.answer(&clean, json!({ "how": "talk" })).await;
    let invoked = bench.call(&clean, json!({})).await.unwrap();
    let log = String::from_utf8_lossy(&invoked.log_tail).into_owned();
    assert!(log.starts_with("START"), "{log}");
}
