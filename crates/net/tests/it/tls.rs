//! The root that signs for peers on loopback, and their TLS. Other crates' tests take this file as
//! it is.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A root, kept in a file as an operator would, and the peers' key.
pub(crate) struct Signed {
    pub(crate) root: PathBuf,
    _folder: tempfile::TempDir,
    config: ServerConfig,
}

impl Signed {
    pub(crate) fn for_loopback() -> Signed {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        std::fs::write(&root, pem(made.cert.der())).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Signed { root, _folder: folder, config }
    }

    /// TLS that offers `protocol`.
    pub(crate) fn acceptor(&self, protocol: &str) -> TlsAcceptor {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn roots(&self) -> net::Roots {
        net::Roots::with_file(&self.root).unwrap()
    }
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
