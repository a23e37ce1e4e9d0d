//! A function's package: a zip that is the same, byte for byte, whenever its files are the same.
//!
//! Names are sorted and no time of the disk goes in, so that Lambda's own `CodeSha256` tells
//! whether a function has to be sent again. Nothing is written to the disk.

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// AWS: a package sent with the request has 50 MB at most, zipped (Lambda quotas).
const ZIPPED_BYTES: usize = 50 << 20;
/// AWS: 250 MB unzipped (Lambda quotas).
const UNZIPPED_BYTES: u64 = 250 << 20;
/// No folder of code is so deep; a link that leads upwards would be.
const DEPTH: usize = 64;
/// Never part of a function's code.
const LEFT_OUT: [&str; 5] = [".git", ".venv", "__pycache__", ".DS_Store", ".pytest_cache"];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Package {
    pub(super) zip: Vec<u8>,
    /// As Lambda shows it: base64 of the SHA-256 of the zip.
    pub(super) sha256: String,
    pub(super) files: usize,
}

/// Packs a folder or a single file; a file that ends in `.zip` is a package already.
pub(super) fn package(path: &Path) -> Result<Package, String> {
    let about = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    if about.is_dir() {
        let mut files = Vec::new();
        gather(path, "", 0, &mut files)?;
        files.sort();
        if files.is_empty() {
            return Err(format!("the folder {} is empty", path.display()));
        }
        return pack(&files);
    }
    if path.extension().is_some_and(|ending| ending == "zip") {
        let zip = fs::read(path).map_err(|e| unreadable(path, &e))?;
        let archive = zip::ZipArchive::new(Cursor::new(&zip));
        let files = archive.map_err(|e| format!("{} is no zip: {e}", path.display()))?.len();
        return Ok(sealed(zip, files));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    pack(&[(name, path.to_owned())])
}

/// A file's name in the package, and where it is on the disk.
type Entry = (String, PathBuf);

fn gather(folder: &Path, inside: &str, depth: usize, files: &mut Vec<Entry>) -> Result<(), String> {
    if depth > DEPTH {
        return Err(format!("{} is {DEPTH} folders deep; does a link go up?", folder.display()));
    }
    for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, &e))? {
        let path = entry.map_err(|e| unreadable(folder, &e))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(format!("{} has a name that is not UTF-8", path.display()));
        };
        if LEFT_OUT.contains(&name) || name.ends_with(".pyc") {
            continue;
        }
        let name = format!("{inside}{name}");
        if fs::metadata(&path).map_err(|e| unreadable(&path, &e))?.is_dir() {
            gather(&path, &format!("{name}/"), depth + 1, files)?;
        } else {
            files.push((name, path));
        }
    }
    Ok(())
}

fn pack(files: &[Entry]) -> Result<Package, String> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut total = 0;
    for (name, path) in files {
        let about = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
        total += about.len();
        if total > UNZIPPED_BYTES {
            let most = UNZIPPED_BYTES >> 20;
            return Err(format!("with {} the code has more than {most} MB", path.display()));
        }
        // Who may run a file is part of what it does; who owns it and when it was made is not.
        let mode = if about.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        let bytes = fs::read(path).map_err(|e| unreadable(path, &e))?;
        let written = archive.start_file(name.as_str(), options);
        let written = written.and_then(|()| Ok(archive.write_all(&bytes)?));
        written.map_err(|e| format!("{} cannot be packed: {e}", path.display()))?;
    }
    let zip = archive.finish().map_err(|e| format!("the package cannot be written: {e}"))?;
    let zip = zip.into_inner();
    if zip.len() > ZIPPED_BYTES {
        let (is, most) = (zip.len() >> 20, ZIPPED_BYTES >> 20);
        return Err(format!("the package has {is} MB; {most} MB is the most"));
    }
    Ok(sealed(zip, files.len()))
}

fn sealed(zip: Vec<u8>, files: usize) -> Package {
    let sha256 = STANDARD.encode(Sha256::digest(&zip));
    Package { zip, sha256, files }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_same_files_are_the_same_package_whenever_they_were_written() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, names) in [(&one, ["a.py", "lib/b.py"]), (&other, ["lib/b.py", "a.py"])] {
            fs::create_dir_all(folder.path().join("lib/__pycache__")).unwrap();
            fs::write(folder.path().join("lib/__pycache__/b.pyc"), format!("{names:?}")).unwrap();
            for name in names {
                fs::write(folder.path().join(name), name).unwrap();
            }
        }
        let old = fs::File::options().write(true).open(one.path().join("a.py")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        let packed = package(one.path()).unwrap();
        assert_eq!(packed, package(other.path()).unwrap());
        assert_eq!(packed.files, 2);
        fs::write(one.path().join("a.py"), "other").unwrap();
        assert_ne!(packed.sha256, package(one.path()).unwrap().sha256);
        fs::set_permissions(other.path().join("a.py"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(packed.sha256, package(other.path()).unwrap().sha256);
    }

    #[test]
    fn an_empty_folder_a_loop_and_a_false_zip_are_no_package() {
        let folder = tempfile::tempdir().unwrap();
        assert!(package(folder.path()).unwrap_err().ends_with("is empty"));
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        package(folder.path()).unwrap_err();
        let file = folder.path().join("code.zip");
        fs::write(&file, "not a zip").unwrap();
        assert!(package(&file).unwrap_err().contains("is no zip"));
    }
}
