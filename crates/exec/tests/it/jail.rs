//! What a jailed handler is and sees, and what happens where walls are missing.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use exec::{ExecError, Function, Isolation, MinIsolation, Mount};
use expect_test::expect;
use serde_json::json;

use crate::Bench;

#[tokio::test]
async fn a_jailed_handler_is_nobody_and_alone() {
    let bench = Bench::jailed();
    let source = "
import os, socket
def handler(event, context):
    lines = open('/proc/self/status').read().splitlines()
    status = dict(line.split(':\\t', 1) for line in lines if ':\\t' in line)
    root = os.statvfs('/').f_flag & os.ST_RDONLY
    return [(os.getuid(), os.getgid()), sum(p.isdigit() for p in os.listdir('/proc')), os.getcwd(),
            [status[name] for name in ('CapPrm', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp')],
            bool(root), os.listdir('/tmp'), os.environ['AWS_LAMBDA_RUNTIME_API'], socket.gethostname(),
            [os.readlink(f'/dev/fd/{n}').split(':')[0] for n in range(4)]]
";
    let function = bench.function(source).await;
    let answer = bench.answer(&function, json!(null)).await;
    let lines = answer.as_array().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    expect![[r#"
        [993,990]
        2
        "/var/task"
        ["0000000000000000","0000000000000000","0000000000000000","1","2"]
        true
        []
        "127.0.0.1:9001"
        "craton"
        ["/dev/null","pipe","pipe","socket"]"#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn a_mounted_folder_is_shared_and_written_only_where_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("config"));
    for one in [&data, &config] {
        std::fs::create_dir(one).unwrap();
        // Its owner's alone, whoever that is.
        std::fs::set_permissions(one, Permissions::from_mode(0o700)).unwrap();
    }
    std::fs::write(config.join("limit"), "500").unwrap();
    let mounts =
        [format!("{}:/mnt/data:rw", data.display()), format!("{}:/mnt/config", config.display())];
    let mounts = mounts.map(|text| Mount::try_from(text).unwrap()).to_vec();
    let bench = Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.mounts = BTreeMap::from([("probe".to_owned(), mounts)]);
    });
    let source = "
def handler(event, context):
    with open('/mnt/data/orders', 'a+') as orders:
        orders.write(event)
        orders.seek(0)
        told = [orders.read(), open('/mnt/config/limit').read()]
    try: open('/mnt/config/limit', 'w')
    except OSError as error: told.append(error.strerror)
    return told
";
    let function = bench.function(source).await;
    bench.answer(&function, json!("A-1;")).await;
    // Another process, and where the server is root another user.
    bench.functions.forget(&function.arn).await;
    let answer = bench.answer(&function, json!("A-2;")).await;
    assert_eq!(answer, json!(["A-1;A-2;", "500", "Read-only file system"]));
    assert_eq!(std::fs::read_to_string(data.join("orders")).unwrap(), "A-1;A-2;");
    let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
    assert_eq!(owner(&data.join("orders")), owner(&data));
    let other = Function { name: "other".to_owned(), arn: "arn:other".to_owned(), ..function };
    let refused = bench.call(&other, json!("A-3;")).await.unwrap();
    assert!(refused.error.is_some(), "a mount is of one function: {refused:?}");
}

#[tokio::test]
async fn an_interpreter_in_somebody_s_home_shows_nothing_else_of_it() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("bin")).unwrap();
    std::fs::write(home.path().join("diary"), "dear").unwrap();
    let python = home.path().join("bin/python3");
    std::os::unix::fs::symlink("/usr/bin/python3", &python).unwrap();
    let bench = Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.python = Some(python.clone());
    });
    let source = "import os, sys\ndef handler(home, c): return [sys.executable, os.listdir(home)]";
    let function = bench.function(source).await;
    let answer = bench.answer(&function, json!(home.path())).await;
    assert_eq!(answer, json!([python, ["bin"]]));
}

#[tokio::test]
async fn a_function_that_may_write_does_not_decide_what_another_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("sub")).unwrap();
    let mounts = |text: String| vec![Mount::try_from(text).unwrap()];
    let bench = Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.mounts = BTreeMap::from([
            ("probe".to_owned(), mounts(format!("{}:/mnt/data:rw", data.display()))),
            ("other".to_owned(), mounts(format!("{}:/mnt/sub", data.join("sub").display()))),
        ]);
    });
    let source = "
import os
def handler(target, context):
    os.rmdir('/mnt/data/sub')
    os.symlink(target, '/mnt/data/sub')
";
    let steering = bench.function(source).await;
    bench.answer(&steering, json!(folder.path())).await;
    let steered =
        bench.function("import os\ndef handler(e, c): return os.listdir('/mnt/sub')").await;
    let steered = Function { name: "other".to_owned(), arn: "arn:other".to_owned(), ..steered };
    let refused = bench.call(&steered, json!(null)).await.unwrap_err().to_string();
    assert!(refused.contains("where functions may write"), "{refused}");
}

/// What runs where the kernel refuses namespaces; does nothing when it is run as a test of its own.
#[tokio::test]
async fn machine_that_refuses_namespaces() {
    if std::env::var("EXEC_TEST_NO_NAMESPACES").is_err() {
        return;
    }
    refuse_namespaces();
    let source = "
import os
def handler(event, context):
    lines = open('/proc/self/status').read().splitlines()
    status = dict(line.split(':\\t', 1) for line in lines if ':\\t' in line)
    try: listed = 'read' if os.listdir(event) else ''
    except PermissionError: listed = 'refused'
    return [status[name] for name in ('CapBnd', 'NoNewPrivs', 'Seccomp')] + [listed]
";
    let bench = Bench::jailed();
    let function = bench.function(source).await;
    let elsewhere = json!("/var");
    let answer = bench.answer(&function, elsewhere.clone()).await;
    let told = if has_landlock() { "refused" } else { "read" };
    assert_eq!(answer, json!(["0000000000000000", "1", "2", told]));
    let bench = Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.min_isolation = Some(MinIsolation::Jail);
    });
    let function = bench.function(source).await;
    let refused = bench.call(&function, elsewhere).await.unwrap_err();
    let told = refused.to_string();
    assert!(
        told.contains("is not met: ") && told.contains(": unshare: Operation not permitted"),
        "{told}"
    );
    println!("told all");
}

/// What runs as a server of its own; does nothing when it is run as a test of its own.
#[tokio::test]
async fn server_whose_jails_end() {
    if std::env::var("EXEC_TEST_CGROUPS").is_err() {
        return;
    }
    let mut most = 0;
    {
        let bench = Bench::jailed();
        let function = bench.function("def handler(e, c): return 1").await;
        for _ in 0..10 {
            bench.answer(&function, json!(null)).await;
            most = most.max(own_groups().len());
            bench.functions.forget(&function.arn).await;
        }
    }
    println!("{}", if most > 0 { "had groups" } else { "no groups can be made here" });
    let began = std::time::Instant::now();
    while !own_groups().is_empty() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", own_groups());
        tokio::task::yield_now().await;
    }
    println!("told all");
}

/// Folders in which a server in this process has groups.
fn own_groups() -> Vec<std::path::PathBuf> {
    fn find(folder: &Path, own: &str, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(own) {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                find(&entry.path(), own, found);
            }
        }
    }
    let mut found = vec![];
    find(Path::new("/sys/fs/cgroup"), &format!("craton-{}-", std::process::id()), &mut found);
    found
}

#[tokio::test]
async fn the_groups_of_jails_go_with_them() {
    let mut server = tokio::process::Command::new(std::env::current_exe().unwrap());
    server.args(["--exact", "jail::server_whose_jails_end", "--nocapture"]);
    let done = server.env("EXEC_TEST_CGROUPS", "1").output().await.unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && told.contains("told all"), "{told}");
}

fn has_landlock() -> bool {
    use landlock::{AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.handle_access(AccessFs::Execute).and_then(Ruleset::create).is_ok()
}

/// As the default profile of a container runtime does.
fn refuse_namespaces() {
    use seccompiler::{SeccompAction, SeccompFilter, apply_filter_all_threads};
    let errno = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let rules = BTreeMap::from([(libc::SYS_unshare, vec![])]);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, arch).unwrap();
    let program: seccompiler::BpfProgram = filter.try_into().unwrap();
    apply_filter_all_threads(&program).unwrap();
}

#[tokio::test]
async fn where_namespaces_are_refused_privileges_still_go_and_min_isolation_refuses() {
    let mut machine = tokio::process::Command::new(std::env::current_exe().unwrap());
    machine.args(["--exact", "jail::machine_that_refuses_namespaces", "--nocapture"]);
    let done = machine.env("EXEC_TEST_NO_NAMESPACES", "1").output().await.unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && told.contains("told all"), "{told}");
}

#[tokio::test]
async fn a_class_that_nothing_offers_refuses_every_call() {
    for (least, isolation) in [
        (MinIsolation::Vm, Isolation::Jail),
        (MinIsolation::Gvisor, Isolation::Jail),
        (MinIsolation::Jail, Isolation::Process),
    ] {
        let bench = Bench::new(|config| {
            config.isolation = isolation;
            config.min_isolation = Some(least);
        });
        let function = bench.function("def handler(e, c): return 1").await;
        let refused = bench.call(&function, json!({})).await.unwrap_err();
        assert!(matches!(&refused, ExecError::Refused(_)), "{refused}");
        assert!(refused.to_string().contains("min_isolation"), "{refused}");
    }
}

#[tokio::test]
async fn an_init_that_cannot_be_started_leaves_nothing_but_a_process() {
    let bench = Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.jail_init = Some("/nowhere".into());
    });
    let function = bench.function("def handler(e, c): return 1").await;
    assert_eq!(bench.answer(&function, json!({})).await, json!(1));
    let bench = Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.min_isolation = Some(MinIsolation::Jail);
        config.jail_init = Some("/nowhere".into());
    });
    assert!(bench.call(&function, json!({})).await.is_err());
    let config = exec::Config {
        isolation: Isolation::Jail,
        jail_init: Some("/nowhere".into()),
        ..exec::Config::default()
    };
    let probes = exec::probe(&config).await;
    let told = probes[0].found.as_ref().unwrap_err();
    assert!(told.starts_with("functions have the rights of the server"), "{told}");
}

#[tokio::test]
async fn a_machine_that_was_busy_is_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let (init, seen) = (dir.path().join("init"), dir.path().join("seen"));
    let reply = r#"{"Failed":{"layer":"Namespaces","why":"fork: busy","passing":true}}"#;
    let (seen, real) = (seen.display(), env!("CARGO_BIN_EXE_jail-init"));
    let script = format!(
        "#!/bin/bash\nif [ -e {seen} ]; then exec -a craton-jail {real}; fi\n: >{seen}\n\
         echo '{reply}' >&0\n"
    );
    // By a process of its own: one that another test starts meanwhile would inherit the open file, and
    // what is open for writing cannot be executed.
    let write = "printf '%s' \"$1\" >\"$0\" && chmod 755 \"$0\"";
    let mut written = std::process::Command::new("sh");
    written.args(["-c", write]).arg(&init).arg(script);
    assert!(written.status().unwrap().success());
    let bench = Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.jail_init = Some(init);
    });
    let function = bench.function("import os\ndef handler(e, c): return os.listdir('/tmp')").await;
    let busy = bench.call(&function, json!({})).await.unwrap_err();
    assert!(matches!(&busy, ExecError::NotSent(why) if why.contains("busy")), "{busy}");
    assert_eq!(bench.answer(&function, json!({})).await, json!([]));
}
