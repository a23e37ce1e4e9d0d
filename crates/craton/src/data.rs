//! Where the server keeps its data when nobody says where.

use std::path::PathBuf;

/// `$XDG_DATA_HOME/craton`, else `~/.local/share/craton`, else `.craton` here.
pub(crate) fn home() -> PathBuf {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    match (absolute("XDG_DATA_HOME"), absolute("HOME")) {
        (Some(data), _) => data.join("craton"),
        (None, Some(home)) => home.join(".local/share/craton"),
        (None, None) => PathBuf::from(".craton"),
    }
}
