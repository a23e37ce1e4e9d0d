//! Node functions: an interpreter of the machine, and the bootstrap that runs handlers in it.

use std::io;
use std::path::Path;

use crate::config::Config;
use crate::function::Function;
use crate::functions::containment::Places;
use crate::functions::interpreter::{Interpreter, Kind};
use crate::functions::runtime::{Launch, write_bootstrap};
use crate::jail::Family;

const BOOTSTRAP: &str = include_str!("bootstrap.cjs");
const BOOTSTRAP_NAME: &str = "bootstrap.cjs";

pub(crate) static KIND: Kind = Kind {
    program: "node",
    probe: &[
        "-p",
        "process.execPath + '\\n' + process.versions.node.split('.').slice(0, 2).join(' ')",
    ],
    // AWS: the oldest runtime that functions may name.
    least: (18, 0),
    advice: "install Node.js 18 or later, or set functions.node in craton.toml",
};

pub(crate) struct Node {
    interpreter: Interpreter,
}

impl Node {
    pub(crate) fn open(config: &Config, directory: &Path) -> io::Result<Node> {
        write_bootstrap(directory, BOOTSTRAP_NAME, BOOTSTRAP)?;
        Ok(Node { interpreter: Interpreter::new(&KIND, config.node.clone()) })
    }

    /// The error says what to install or to set.
    pub(crate) async fn launch(
        &self,
        function: &Function,
        seen: &Places,
    ) -> Result<Launch, String> {
        let found = self.interpreter.get().await?;
        // AWS: the heap takes nine tenths of the function's memory (the managed runtime's own
        // start script). Without it V8 would first collect when the memory limit is passed.
        let heap = format!("--max-old-space-size={}", function.memory_mb * 9 / 10);
        Ok(Launch {
            program: found.executable.clone(),
            args: vec![heap, seen.runtime.join(BOOTSTRAP_NAME).display().to_string()],
            bin: found.executable.parent().map(Path::to_owned),
            env: Vec::new(),
            family: Family::Node,
            roots: found.roots.clone(),
            packages: None,
        })
    }
}
