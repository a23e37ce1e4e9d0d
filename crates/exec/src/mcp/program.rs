//! Where a command of an MCP server is, and what of the machine's files it needs beside the system's.
//!
//! Interpreters are asked, because a shim does not say where they are installed; of another program
//! it is what surrounds it, and the interpreter that a script names. Nothing here is remembered.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::functions::interpreter::{Interpreter, Kind, roots_of};
use crate::functions::{node, python};

/// Linux: more of a script's first line is not read (execve(2), "Interpreter scripts").
const FIRST_LINE: u64 = 255;

pub(crate) struct Program {
    pub(crate) program: PathBuf,
    pub(crate) roots: Vec<PathBuf>,
}

impl Program {
    fn of(program: PathBuf, mut roots: Vec<PathBuf>) -> Program {
        roots.sort();
        // One that lies in another is there with it.
        roots.dedup_by(|inner, outer| inner.starts_with(&*outer));
        Program { program, roots }
    }
}

/// `path` is where a name without a slash is looked for.
pub(crate) async fn find(command: &str, path: &str) -> Result<Program, String> {
    let program = on_path(command, path)
        .ok_or_else(|| format!("its command {command} is no program on this machine"))?;
    if let Some(kind) = kind_of(&program) {
        // One that is too old for functions may still do for this.
        if let Ok(found) = Interpreter::new(kind, Some(program.clone())).get().await {
            let mut roots = found.roots.clone();
            roots.extend(roots_of(&found.executable, surroundings(&found.executable)));
            return Ok(Program::of(found.executable.clone(), roots));
        }
    }
    let mut roots = roots_of(&program, surroundings(&program));
    if let Some(interpreter) = interpreter_of(&program, path) {
        let found = Box::pin(find(&interpreter, path)).await;
        roots.extend(found.map(|found| found.roots).unwrap_or_default());
    }
    Ok(Program::of(program, roots))
}

fn on_path(command: &str, path: &str) -> Option<PathBuf> {
    let executable =
        |program: &PathBuf| program.is_file() && access(program, Access::EXEC_OK).is_ok();
    if command.contains('/') {
        return std::path::absolute(command).ok().filter(executable);
    }
    std::env::split_paths(path).map(|folder| folder.join(command)).find(executable)
}

fn kind_of(program: &Path) -> Option<&'static Kind> {
    let name = program.file_name()?.to_str()?;
    match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "python" => Some(&python::KIND),
        "node" => Some(&node::KIND),
        _ => None,
    }
}

/// What a program is installed in as its kind is: a virtual environment of Python, the packages of
/// Node beside it.
fn surroundings(program: &Path) -> Vec<PathBuf> {
    let linked = program.canonicalize().ok();
    let all = [Some(program), linked.as_deref()];
    let around = all.into_iter().flatten().filter_map(|program| {
        program
            .ancestors()
            .skip(1)
            .find(|folder| folder.ends_with("node_modules") || folder.join("pyvenv.cfg").is_file())
    });
    around.map(Path::to_owned).collect()
}

/// Of a script's first line; `env` looks for what it names.
fn interpreter_of(program: &Path, path: &str) -> Option<String> {
    let mut line = String::new();
    BufReader::new(File::open(program).ok()?.take(FIRST_LINE)).read_line(&mut line).ok()?;
    let mut words = line.strip_prefix("#!")?.split_whitespace();
    let first = words.next()?;
    if !first.ends_with("/env") {
        return (Path::new(first) != program).then(|| first.to_owned());
    }
    let named = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    on_path(named, path).filter(|found| found != program)?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use expect_test::{Expect, expect};

    use super::find;

    /// What is shown for a command of a folder with these scripts and links.
    #[track_caller]
    fn check(scripts: &[(&str, &str)], links: &[(&str, &str)], command: &str, expected: &Expect) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let place = |path: &str| base.join(path);
        let made = |path: &str| fs::create_dir_all(place(path).parent().unwrap()).unwrap();
        for (path, text) in scripts {
            made(path);
            fs::write(place(path), text.replace("BASE", base.to_str().unwrap())).unwrap();
            fs::set_permissions(place(path), Permissions::from_mode(0o755)).unwrap();
        }
        for (path, target) in links {
            made(path);
            symlink(place(target), place(path)).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(find(command, place("path").to_str().unwrap()));
        let told = match found {
            Ok(found) => format!("{} in {:?}", found.program.display(), found.roots),
            Err(why) => why,
        };
        expected.assert_eq(&told.replace(base.to_str().unwrap(), ""));
    }

    #[test]
    fn a_program_has_with_it_what_it_is_installed_in() {
        check(&[], &[], "notes", &expect!["its command notes is no program on this machine"]);
        check(&[("path/notes", "")], &[], "notes", &expect![[r#"/path/notes in ["/path/notes"]"#]]);
        // A package's script, and an interpreter that stands elsewhere.
        check(
            &[
                ("env/pyvenv.cfg", ""),
                ("env/bin/notes", "#!BASE/env/bin/own"),
                ("own-3/bin/own", ""),
            ],
            &[("env/bin/own", "own-3/bin/own"), ("path/notes", "env/bin/notes")],
            "notes",
            &expect![[r#"/path/notes in ["/env", "/own-3", "/path/notes"]"#]],
        );
        check(
            &[
                ("board/node_modules/board/dist/index.js", "#!/usr/bin/env -S own --quiet"),
                ("path/own", ""),
            ],
            &[("path/board", "board/node_modules/board/dist/index.js")],
            "board",
            &expect![[r#"/path/board in ["/board/node_modules", "/path/board", "/path/own"]"#]],
        );
    }
}
