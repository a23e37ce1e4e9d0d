//! `cargo xtask dist`: what is handed to somebody who has no Rust. One binary, its checksums, a
//! container file, a bill of materials, and the licences of what is linked in.
//!
//! The binary is fully static where the musl target and its C compiler are installed. Else it
//! needs a C library of at least the version that is printed and stands in its name.

mod materials;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::shell::{cargo, succeed, target};
use crate::{Outcome, root};

/// The biggest binary that anybody should have to fetch, in bytes.
const LARGEST: u64 = 40_000_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("usage: cargo xtask dist".into());
    }
    let version = env!("CARGO_PKG_VERSION");
    let host = host()?;
    let musl = musl(&host);
    let built = build(musl.as_deref().unwrap_or(&host))?;
    let binary = fs::read(&built)?;
    let linked =
        if musl.is_some() { "static".to_owned() } else { format!("glibc{}", floor(&binary)) };
    let machine = host.split('-').next().unwrap_or(&host);
    let name = format!("craton-{version}-linux-{machine}-{linked}");
    let size = binary.len() as u64;
    if size > LARGEST {
        return Err(format!("the binary has {size} bytes; {LARGEST} are the most").into());
    }

    let folder = target().join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::copy(&built, folder.join(&name))?;
    let materials = materials::read(musl.as_deref().unwrap_or(&host))?;
    fs::write(folder.join("sbom.cdx.json"), materials::bill(&materials, version))?;
    fs::write(folder.join("THIRD-PARTY.txt"), materials::notices(&materials)?)?;
    fs::copy(root().join("LICENSE"), folder.join("LICENSE"))?;
    fs::write(folder.join("Containerfile"), container(&name))?;
    fs::write(folder.join("SHA256SUMS"), sums(&folder)?)?;
    println!("{}", folder.display());
    for line in fs::read_to_string(folder.join("SHA256SUMS"))?.lines() {
        println!("  {line}");
    }
    println!("{name}: {:.1} MB, {} crates linked in", size as f64 / 1e6, materials.len());
    Ok(())
}

fn host() -> Result<String> {
    let told = Command::new("rustc").args(["--version", "--verbose"]).output()?;
    let told = String::from_utf8(told.stdout)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc does not say its host")?;
    if !host.contains("-linux-") {
        return Err(format!("Craton is handed out for Linux; {host} is something else").into());
    }
    Ok(host.to_owned())
}

/// The static target of this machine, if it is installed with the compiler that its C code needs.
fn musl(host: &str) -> Option<String> {
    let wanted = host.replace("-gnu", "-musl");
    let mut ask = Command::new("rustc");
    let told = ask.args(["--print", "target-libdir", "--target", &wanted]).output().ok()?;
    let libraries = PathBuf::from(String::from_utf8(told.stdout).ok()?.trim());
    let compiler = Command::new("musl-gcc").arg("--version").output();
    (libraries.is_dir() && compiler.is_ok()).then_some(wanted)
}

/// Builds with the profile `dist`; no path of this machine goes into the binary.
fn build(triple: &str) -> Result<PathBuf> {
    let mut build = cargo(&["build", "--locked", "--package", "craton", "--profile", "dist"]);
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    let flags = [
        format!("--remap-path-prefix={}=craton", root().display()),
        format!("--remap-path-prefix={home}=cargo"),
    ];
    build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).args(["--target", triple]);
    succeed(&mut build)?;
    Ok(target().join(triple).join("dist/craton"))
}

/// The newest version of glibc that the binary names, such as `2.34`.
fn floor(binary: &[u8]) -> String {
    const MARK: &[u8] = b"GLIBC_2.";
    let versions = binary.windows(MARK.len()).enumerate().filter(|(_, seen)| *seen == MARK);
    let minor = versions.filter_map(|(at, _)| {
        let digits = binary[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).ok()?.parse::<u32>().ok()
    });
    minor.max().map_or_else(|| "unknown".to_owned(), |minor| format!("2.{minor}"))
}

/// Functions need their languages beside the server, so the base is a Debian that has them.
fn container(binary: &str) -> String {
    format!(
        "# podman build -t craton . && podman run -p 4747:4747 -v craton:/data -v ./craton.toml:/etc/craton.toml craton\n\
         # Beyond the loopback Craton serves listed keys only: craton.toml needs [[keys]].\n\
         FROM debian:trixie-slim\n\
         RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv nodejs \\\n    \
             && rm -rf /var/lib/apt/lists/* && useradd --system --create-home --home-dir /data craton\n\
         COPY --chmod=755 {binary} /usr/local/bin/craton\n\
         COPY LICENSE THIRD-PARTY.txt /usr/share/doc/craton/\n\
         USER craton\n\
         VOLUME /data\n\
         EXPOSE 4747\n\
         ENTRYPOINT [\"craton\"]\n\
         CMD [\"up\", \"--listen\", \"0.0.0.0:4747\", \"--data-dir\", \"/data\", \"--config\", \"/etc/craton.toml\"]\n"
    )
}

/// In the form that `sha256sum --check` reads.
fn sums(folder: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let mut lines = String::new();
    for file in files {
        let digest = Sha256::digest(fs::read(&file)?);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = file.file_name().ok_or("a file without a name")?.to_string_lossy().into_owned();
        lines.push_str(&format!("{hex}  {name}\n"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_newest_version_that_the_binary_names() {
        let binary = b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0GLIBC_PRIVATE\0";
        assert_eq!(floor(binary), "2.34");
        assert_eq!(floor(b"nothing of the kind"), "unknown");
    }

    #[test]
    fn sums_are_what_sha256sum_checks() {
        let folder = std::env::temp_dir().join(format!("craton-sums-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a"), "text").unwrap();
        fs::write(folder.join("SHA256SUMS"), sums(&folder).unwrap()).unwrap();
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--quiet", "SHA256SUMS"]).current_dir(&folder);
        let checked = check.status().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert!(checked.success());
    }
}
