//! Values that must stand in no cassette: those that the configuration names or holds as secrets, and
//! those of the environment whose names say so.
//!
//! They are read once, when the server starts, and are never shown.

use std::path::Path;

/// Ends of names, in upper case.
const ENDS: &[&str] =
    &["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS"];

/// All that are known. A configuration that cannot be read is told of elsewhere.
pub(crate) fn known(config: Option<&Path>) -> Vec<String> {
    let named = std::env::vars().filter(|(name, _)| is_secret(name)).map(|(_, value)| value);
    let mut known: Vec<String> = named.collect();
    let text = config.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let parsed: toml::Table = toml::from_str(&text).unwrap_or_default();
    let base = config.and_then(Path::parent).unwrap_or(Path::new(""));
    gather("", &toml::Value::Table(parsed), base, &mut known);
    known.retain(|secret| !secret.is_empty());
    known
}

fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    ENDS.iter().any(|end| name.ends_with(end)) && !name.ends_with("PUBLIC_KEY")
}

fn gather(name: &str, value: &toml::Value, base: &Path, known: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => known.extend(secret(name, text, base)),
        toml::Value::Array(items) => items.iter().for_each(|item| gather(name, item, base, known)),
        toml::Value::Table(members) => {
            members.iter().for_each(|(name, value)| gather(name, value, base, known));
        }
        _ => {}
    }
}

/// A place where a secret lies, the name of a variable that has one, or the secret itself.
fn secret(name: &str, text: &str, base: &Path) -> Option<String> {
    if let Some(variable) = text.strip_prefix("env:") {
        return std::env::var(variable).ok();
    }
    if let Some(file) = text.strip_prefix("file:") {
        let content = std::fs::read_to_string(base.join(file)).ok()?;
        return Some(content.trim().to_owned());
    }
    if name.ends_with("_env") {
        return std::env::var(text).ok();
    }
    let named = is_secret(name) && name != "access_key";
    (named || name == "bearer").then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn secrets_are_found_where_a_configuration_names_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), "lies-in-a-file\n").unwrap();
        let config = dir.path().join("craton.toml");
        let text = "[[keys]]\naccess_key = \"AK\"\nsecret_key = \"in-the-open\"\n\
            [providers.p]\napi_key = \"file:key\"\nbase_url = \"http://here\"\n\
            [apis.shop.auth.s]\nbearer = \"file:none\"\npassword_env = \"NO_SUCH_VARIABLE\"\n";
        std::fs::write(&config, text).unwrap();
        let mut known = Vec::new();
        gather("", &toml::from_str(text).unwrap(), dir.path(), &mut known);
        expect![[r#"["in-the-open", "lies-in-a-file"]"#]].assert_eq(&format!("{known:?}"));
        assert!(known.iter().all(|secret| super::known(Some(&config)).contains(secret)));
    }
}
