//! Functions that bring their own runtime: the package's executable `bootstrap`, such as a Go or
//! Rust program, or a script.
//!
//! It is looked at before it is started, because a shell or kernel would say less about what is
//! wrong with it. What it does is its own matter: it speaks the Runtime API or it ends.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::functions::containment::Places;
use crate::functions::runtime::Launch;
use crate::jail::Family;

/// Machines by the number in an ELF header (`e_machine`), in the names of Rust's `target_arch`.
const MACHINES: [(u16, &str); 5] =
    [(3, "x86"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64")];

/// The error is for the person who made the package.
pub(crate) fn launch(host: &Places, seen: &Places) -> Result<Launch, String> {
    check(&host.code.join("bootstrap"))?;
    let libraries = format!("{}:{}", seen.code.display(), seen.code.join("lib").display());
    Ok(Launch {
        program: seen.code.join("bootstrap"),
        args: Vec::new(),
        bin: None,
        // AWS: the task root and its lib are searched for shared libraries (Lambda developer guide,
        // "Defined runtime environment variables").
        env: vec![("LD_LIBRARY_PATH", libraries)],
        family: Family::Provided,
        roots: Vec::new(),
        packages: None,
    })
}

/// AWS: `Runtime.InvalidEntrypoint`, with the first words of each message; the rest says what to do.
fn check(program: &Path) -> Result<(), String> {
    let Ok(about) = fs::metadata(program) else {
        return Err("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap] (the \
                    zip has no file named bootstrap at its top)"
            .to_owned());
    };
    let wrong = |what: &str| Err(format!("fork/exec /var/task/bootstrap: {what}"));
    if !about.is_file() || about.permissions().mode() & 0o111 == 0 {
        return wrong("permission denied (chmod +x bootstrap, then zip it again)");
    }
    let mut head = Vec::new();
    let read = File::open(program).and_then(|file| file.take(256).read_to_end(&mut head));
    if let Err(error) = read {
        return wrong(&error.to_string());
    }
    match refusal(&head) {
        Some(why) => wrong(&why),
        None => Ok(()),
    }
}

/// Why a file that begins so would not be executed here.
fn refusal(head: &[u8]) -> Option<String> {
    if let Some(rest) = head.strip_prefix(b"#!") {
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let interpreter = line.split_whitespace().next().unwrap_or_default();
        let there = Path::new(interpreter).is_file();
        let lines = if line.ends_with('\r') { "; save it with Unix line ends" } else { "" };
        return (!there || !lines.is_empty()).then(|| {
            format!("no such file or directory (this machine has no {}{lines})", line.trim())
        });
    }
    if !cfg!(target_os = "linux") {
        // Other systems have other formats, and their kernels say what they think of this one.
        return None;
    }
    let is_elf = head.starts_with(b"\x7fELF") && head.len() >= 20;
    if !is_elf {
        let what = "it is no program, and no script that begins with #!";
        return Some(format!("exec format error ({what})"));
    }
    let little = head[5] == 1;
    let machine = [head[18], head[19]];
    let machine = if little { u16::from_le_bytes(machine) } else { u16::from_be_bytes(machine) };
    let name = MACHINES.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name);
    let here = std::env::consts::ARCH;
    match name {
        Some(name) if name == here => None,
        // A machine this table does not know is the kernel's to judge.
        None => None,
        Some(name) => Some(format!(
            "exec format error (it is built for {name}, this machine is {here}: functions run on \
             the host's architecture, whatever Architectures says)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check_head(head: &[u8], expected: &Expect) {
        let told = refusal(head).unwrap_or_else(|| "is executed".to_owned());
        expected.assert_eq(&told.replace(std::env::consts::ARCH, "HOST"));
    }

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn what_would_not_be_executed_is_told_with_its_reason() {
        let (host, _) = MACHINES.iter().find(|(_, m)| *m == std::env::consts::ARCH).unwrap();
        let foreign = if *host == 183 { 62 } else { 183 };
        check_head(&elf(*host), &expect!["is executed"]);
        let told = refusal(&elf(foreign)).unwrap();
        assert!(told.starts_with("exec format error (it is built for "), "{told}");
        check_head(&elf(0xfff0), &expect!["is executed"]);
        check_head(b"#!/bin/sh\necho", &expect!["is executed"]);
        check_head(b"#!/usr/bin/env nothing-checked-here\n", &expect!["is executed"]);
        check_head(
            b"#!/opt/nowhere/sh -e\n",
            &expect!["no such file or directory (this machine has no /opt/nowhere/sh -e)"],
        );
        check_head(
            b"#!/bin/sh\r\necho",
            &expect![
                "no such file or directory (this machine has no /bin/sh; save it with Unix line ends)"
            ],
        );
        check_head(
            b"while true; do",
            &expect!["exec format error (it is no program, and no script that begins with #!)"],
        );
    }

    #[test]
    fn a_package_without_an_executable_bootstrap_is_told_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let [code, runtime, packages] = [(); 3].map(|()| dir.path().to_owned());
        let places = Places { code, runtime, packages };
        let told = || launch(&places, &places).err().unwrap();
        assert!(told().starts_with("Couldn't find valid bootstrap(s)"), "{}", told());
        fs::write(dir.path().join("bootstrap"), "#!/bin/sh\n").unwrap();
        expect!["fork/exec /var/task/bootstrap: permission denied (chmod +x bootstrap, then zip it again)"]
            .assert_eq(&told());
    }
}
