//! Where a credential lies: an environment variable or a file.
//!
//! The configuration holds the place and never the value. The value is read when it is used, so that
//! a file that is replaced counts from the next call on, and it stands in no message, log or `Debug`.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

use serde::Deserialize;

use crate::limits;

/// `env:NAME` or `file:/absolute/path`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Secret(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Env(String),
    File(PathBuf),
}

impl TryFrom<String> for Secret {
    type Error = String;

    // A value that was written here by mistake must not come back in the message.
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Secret(Place::Env(name.to_owned())))
            }
            Some(("file", path)) if path.starts_with('/') => {
                Ok(Secret(Place::File(PathBuf::from(path))))
            }
            _ => Err("a secret is \"env:NAME\" or \"file:/absolute/path\", never the value itself"
                .to_owned()),
        }
    }
}

impl Secret {
    /// The value, without the line end that editors leave; or which place does not hold one.
    pub fn read(&self) -> Result<String, String> {
        let value = match &self.0 {
            Place::Env(name) => std::env::var(name).map_err(|_| format!("{self} is not set")),
            Place::File(path) => {
                read_file(path).map_err(|cause| format!("{self} cannot be read: {cause}"))
            }
        }?;
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() {
            return Err(format!("{self} is empty"));
        }
        Ok(value.to_owned())
    }
}

fn read_file(path: &PathBuf) -> std::io::Result<String> {
    let mut text = String::new();
    let most = limits::SECRET_BYTES;
    std::fs::File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    match text.len() as u64 > most {
        true => Err(std::io::Error::other(format!("it has more than {most} bytes"))),
        false => Ok(text),
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Env(name) => write!(f, "env:{name}"),
            Place::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::Secret;

    fn check(written: &str, expected: &Expect) {
        let said = match Secret::try_from(written.to_owned()) {
            Ok(secret) => format!("{secret:?} {:?}", secret.read()),
            Err(refused) => refused,
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn a_secret_names_its_place_and_never_shows_its_value() {
        let refusal =
            expect![[r#"a secret is "env:NAME" or "file:/absolute/path", never the value itself"#]];
        for mistake in ["hunter2", "env:", "file:relative", "ENV:X", "vault:x", ""] {
            check(mistake, &refusal);
        }
        check(
            "env:CRATON_NO_SUCH_VARIABLE",
            &expect![[
                r#"Secret(env:CRATON_NO_SUCH_VARIABLE) Err("env:CRATON_NO_SUCH_VARIABLE is not set")"#
            ]],
        );
        check(
            "file:/no/such/file",
            &expect![[
                r#"Secret(file:/no/such/file) Err("file:/no/such/file cannot be read: No such file or directory (os error 2)")"#
            ]],
        );
    }

    #[test]
    fn a_file_that_is_replaced_counts_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let secret = Secret::try_from(format!("file:{}", path.display())).unwrap();
        for (written, read) in [("one\n", Some("one")), ("two", Some("two")), ("\n", None)] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(secret.read().ok().as_deref(), read);
        }
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(secret.read().unwrap_err().contains("more than 65536 bytes"));
    }
}
