//! Deployment packages: a zip becomes a directory named by its digest.
//!
//! Unpacked beside its place and renamed into it, so that a directory that exists is complete. A
//! package is hostile input: names that leave the directory, links, and archives that grow beyond
//! AWS's size are refused before anything is believed.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use zip::ZipArchive;
use zip::read::ZipFile;

use crate::function::CodeError;
use crate::limits;

/// The directory of all unpacked packages.
#[derive(Debug)]
pub(crate) struct Packages {
    root: PathBuf,
    limit: u64,
    unpacked: AtomicU64,
}

impl Packages {
    /// Removes what an earlier process left half unpacked.
    pub(crate) fn open(root: PathBuf, limit: u64) -> io::Result<Packages> {
        fs::create_dir_all(&root)?;
        for entry in fs::read_dir(&root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Packages { root, limit, unpacked: AtomicU64::new(0) })
    }

    pub(crate) fn directory(&self, digest: &str) -> Option<PathBuf> {
        let place = self.root.join(digest);
        (is_digest(digest) && place.is_dir()).then_some(place)
    }

    /// Blocking: reads and writes the whole package.
    pub(crate) fn unpack(&self, digest: &str, zip: &Bytes) -> Result<(), CodeError> {
        if self.directory(digest).is_some() {
            return Ok(());
        }
        check_digest(digest, zip)?;
        let turn = self.unpacked.fetch_add(1, Ordering::Relaxed);
        let half = self.root.join(format!(".{digest}.{}.{turn}", std::process::id()));
        fs::create_dir(&half)?;
        let done = extract(zip, &half, self.limit).and_then(|()| self.put(&half, digest));
        if done.is_err() {
            // The first error says more than a failure to clean up, which open() repeats anyway.
            let _ = fs::remove_dir_all(&half);
        }
        done
    }

    /// Blocking. The caller knows that no function has this code any more.
    pub(crate) fn remove(&self, digest: &str) -> io::Result<()> {
        let Some(place) = self.directory(digest) else { return Ok(()) };
        let turn = self.unpacked.fetch_add(1, Ordering::Relaxed);
        let gone = self.root.join(format!(".{digest}.{}.{turn}", std::process::id()));
        fs::rename(place, &gone)?;
        fs::remove_dir_all(gone)
    }

    fn put(&self, half: &Path, digest: &str) -> Result<(), CodeError> {
        match fs::rename(half, self.root.join(digest)) {
            Err(_) if self.directory(digest).is_some() => Ok(fs::remove_dir_all(half)?),
            done => Ok(done?),
        }
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn check_digest(digest: &str, zip: &Bytes) -> Result<(), CodeError> {
    let actual = Sha256::digest(zip).iter().map(|b| format!("{b:02x}")).collect::<String>();
    if actual == digest {
        return Ok(());
    }
    refuse(format!("the code's digest is {actual}, not {digest}"))
}

fn refuse<T>(message: String) -> Result<T, CodeError> {
    Err(CodeError::Package(message))
}

fn extract(zip: &Bytes, into: &Path, limit: u64) -> Result<(), CodeError> {
    let mut archive = ZipArchive::new(Cursor::new(zip))
        .map_err(|e| CodeError::Package(format!("could not unzip the uploaded file: {e}")))?;
    if archive.len() > limits::CODE_FILES {
        return refuse(format!("the zip has more than {} files", limits::CODE_FILES));
    }
    let mut left = limit;
    for index in 0..archive.len() {
        let entry = archive
            .by_index(index)
            .map_err(|e| CodeError::Package(format!("entry {index} of the zip: {e}")))?;
        let Some(written) = extract_entry(entry, into, left)? else {
            // AWS: "Unzipped size must be smaller than 262144000 bytes" (CreateFunction).
            return refuse(format!("unzipped size must be smaller than {limit} bytes"));
        };
        left -= written;
    }
    Ok(())
}

/// Writes one entry and says how many bytes it took; nothing when it is larger than what is left.
fn extract_entry<R: Read>(
    mut entry: ZipFile<'_, R>,
    into: &Path,
    left: u64,
) -> Result<Option<u64>, CodeError> {
    let place = place_of(&entry, into)?;
    write_entry(&mut entry, &place, left).map_err(|error| blame(&entry, error))
}

fn write_entry<R: Read>(
    entry: &mut ZipFile<'_, R>,
    place: &Path,
    left: u64,
) -> io::Result<Option<u64>> {
    if entry.is_dir() {
        fs::create_dir_all(place)?;
        return Ok(Some(0));
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    // A name that comes twice means its last entry, as for every unzip; the first is read-only by now.
    if place.is_file() {
        fs::remove_file(place)?;
    }
    let mut file = File::create(place)?;
    // The size in the header is the packer's word; what counts is what comes out.
    let written = io::copy(&mut entry.by_ref().take(left + 1), &mut file)?;
    if written > left {
        return Ok(None);
    }
    let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
    file.set_permissions(fs::Permissions::from_mode(if executable { 0o555 } else { 0o444 }))?;
    Ok(Some(written))
}

/// Whose fault an error is: bytes that do not unpack and names that no disk takes are the package's.
fn blame<R: Read>(entry: &ZipFile<'_, R>, error: io::Error) -> CodeError {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory};
    let of_a_name = [AlreadyExists, InvalidFilename, IsADirectory, NotADirectory];
    if error.raw_os_error().is_some() && !of_a_name.contains(&error.kind()) {
        return error.into();
    }
    let name: String = String::from_utf8_lossy(entry.name_raw()).chars().take(100).collect();
    CodeError::Package(format!("entry {name} of the zip cannot be unpacked: {error}"))
}

fn place_of<R: Read>(entry: &ZipFile<'_, R>, into: &Path) -> Result<PathBuf, CodeError> {
    let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
    if entry.is_symlink() {
        return refuse(format!("the zip has a symbolic link, {name}; zip without -y"));
    }
    let absolute = name.starts_with('/') || name.contains('\\') || name.contains('\0');
    match entry.enclosed_name() {
        Some(path) if !absolute && !name.split('/').any(|part| part == "..") => Ok(into.join(path)),
        _ => refuse(format!("the zip has a name that leaves its directory: {name}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use expect_test::{Expect, expect};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn check(build: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>), expected: &Expect) {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages::open(dir.path().join("code"), 1 << 20).unwrap();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        build(&mut writer);
        let zip = Bytes::from(writer.finish().unwrap().into_inner());
        let digest = Sha256::digest(&zip).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let outcome = match packages.unpack(&digest, &zip) {
            Ok(()) => listing(&packages.directory(&digest).unwrap()),
            Err(error) => error.to_string(),
        };
        let half = fs::read_dir(dir.path().join("code")).unwrap().count();
        assert_eq!(half, usize::from(packages.directory(&digest).is_some()), "nothing half done");
        expected.assert_eq(&outcome);
    }

    fn listing(directory: &Path) -> String {
        let mut names = fs::read_dir(directory)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                format!("{} {mode:o}", entry.file_name().display())
            })
            .collect::<Vec<_>>();
        names.sort();
        names.join(", ")
    }

    #[test]
    fn executable_bits_stay_and_files_are_read_only() {
        let build = |zip: &mut ZipWriter<_>| {
            zip.start_file("main.py", SimpleFileOptions::default()).unwrap();
            zip.start_file("run", SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        };
        check(build, &expect!["main.py 444, run 555"]);
    }

    #[test]
    fn a_package_cannot_leave_its_directory() {
        for name in ["../out", "a/../../out", "/etc/out", "a\\..\\out"] {
            let build = |zip: &mut ZipWriter<_>| {
                zip.start_file(name, SimpleFileOptions::default()).unwrap();
            };
            let message = format!("the zip has a name that leaves its directory: {name}");
            let mut expected = expect![[""]];
            expected.data = Box::leak(message.into_boxed_str());
            check(build, &expected);
        }
        let link = |zip: &mut ZipWriter<_>| {
            zip.add_symlink("link", "/etc", SimpleFileOptions::default()).unwrap();
        };
        check(link, &expect!["the zip has a symbolic link, link; zip without -y"]);
    }

    #[test]
    fn names_that_no_disk_takes_are_the_package_s_fault() {
        let options = SimpleFileOptions::default();
        let both = |zip: &mut ZipWriter<_>| {
            zip.start_file("a", options).unwrap();
            zip.start_file("a/b", options).unwrap();
        };
        check(both, &expect!["entry a/b of the zip cannot be unpacked: File exists (os error 17)"]);
        let long = |zip: &mut ZipWriter<_>| zip.start_file("n".repeat(300), options).unwrap();
        check(
            long,
            &expect![
                "entry nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn of the zip cannot be unpacked: File name too long (os error 36)"
            ],
        );
    }

    #[test]
    fn bytes_that_do_not_unpack_are_the_package_s_fault() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file("main.py", stored).unwrap();
        writer.write_all(&[b'x'; 100]).unwrap();
        let mut zip = writer.finish().unwrap().into_inner();
        let at = zip.windows(4).position(|four| four == b"xxxx").unwrap();
        zip[at + 1] = b'y';
        let dir = tempfile::tempdir().unwrap();
        let error = extract(&zip.into(), dir.path(), 1 << 20).unwrap_err();
        expect!["entry main.py of the zip cannot be unpacked: Invalid checksum"]
            .assert_eq(&error.to_string());
    }

    #[test]
    fn a_bomb_is_not_written_out() {
        let build = |zip: &mut ZipWriter<_>| {
            let options =
                SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
            let zeros = vec![0; 500_000];
            for part in 0..3 {
                zip.start_file(format!("part{part}"), options).unwrap();
                zip.write_all(&zeros).unwrap();
            }
        };
        check(build, &expect!["unzipped size must be smaller than 1048576 bytes"]);
    }

    #[test]
    fn bytes_that_are_not_a_zip_or_not_the_announced_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages::open(dir.path().to_owned(), 1 << 20).unwrap();
        let text = Bytes::from_static(b"def handler(): pass");
        let digest = "32d8e1f5d1a6fcd2ee3a3b3f4b0e7a1dbb0d8b7f4b0c5d1e9f7a6c5b4d3e2f10";
        assert!(packages.unpack(digest, &text).is_err());
        assert!(packages.unpack("../../etc", &text).is_err());
        let digest = Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let error = packages.unpack(&digest, &text).unwrap_err().to_string();
        assert!(error.starts_with("could not unzip the uploaded file"), "{error}");
    }
}
