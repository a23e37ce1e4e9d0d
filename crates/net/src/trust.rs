//! Whose signature a peer's certificate may bear: Mozilla's roots, which are compiled in, and those
//! that the operator adds.
//!
//! The operator adds his own as everywhere else: `SSL_CERT_FILE` names a file of PEM certificates,
//! `SSL_CERT_DIR` folders of them, as OpenSSL reads these two. They are read once, when the first
//! client is made. The system's own store is not read, so that a machine and a bare container trust
//! the same peers.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::load_certs_from_paths;

/// Cheap to clone. The default is what the environment asks for.
#[derive(Debug, Clone)]
pub struct Roots(Arc<RootCertStore>);

/// What the environment names, and what could not be read of it.
static ENVIRONMENT: LazyLock<(Roots, Vec<String>)> = LazyLock::new(|| {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let file = named("SSL_CERT_FILE").map(|file| in_file(Path::new(&file)));
    let (mut certificates, mut unread) = file.unwrap_or_default();
    if let Some(folders) = named("SSL_CERT_DIR") {
        for folder in std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty()) {
            let more = load_certs_from_paths(None, Some(&folder));
            certificates.extend(more.certs);
            unread.extend(more.errors.iter().map(ToString::to_string));
        }
    }
    Roots::adding((certificates, unread))
});

/// Certificates, and a line for each thing that is none.
type Found = (Vec<CertificateDer<'static>>, Vec<String>);

fn in_file(path: &Path) -> Found {
    let found = load_certs_from_paths(Some(path), None);
    let mut unread: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    if found.certs.is_empty() && unread.is_empty() {
        unread.push(format!("there is no certificate in PEM in {}", path.display()));
    }
    (found.certs, unread)
}

impl Default for Roots {
    fn default() -> Self {
        ENVIRONMENT.0.clone()
    }
}

impl Roots {
    /// Mozilla's and those in the PEM file at `path`; otherwise what is wrong with it.
    pub fn with_file(path: &Path) -> Result<Roots, String> {
        let (roots, unread) = Roots::adding(in_file(path));
        if unread.is_empty() { Ok(roots) } else { Err(unread.join("; ")) }
    }

    /// What `SSL_CERT_FILE` and `SSL_CERT_DIR` name and nobody could read, a line each. Clients do
    /// without it.
    pub fn unread() -> &'static [String] {
        &ENVIRONMENT.1
    }

    fn adding((certificates, mut unread): Found) -> (Roots, Vec<String>) {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in certificates {
            if let Err(error) = store.add(certificate) {
                unread.push(format!("a certificate cannot be a root: {error}"));
            }
        }
        (Roots(Arc::new(store)), unread)
    }

    /// TLS for a client that trusts these. ALPN is the connector's to add.
    pub(crate) fn tls(&self) -> ClientConfig {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("ring has the suites of TLS 1.2 and 1.3")
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth()
    }
}
