// SPDX-License-Identifier: Apache-2.0
//! What the enclaves in Rust share: PROGRAM DIRECTORY PORT [WORD...], where words say what a server may speak.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{aws_lc_rs, ring, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{NamedGroup, RootCertStore, ServerConfig, SupportedProtocolVersion};

pub const ANSWER: &str = "{\"server\":\"rust\"}\n";

pub struct Arguments {
    directory: PathBuf,
    port: u16,
    words: Vec<String>,
}

impl Arguments {
    pub fn read() -> Self {
        let mut words = env::args().skip(1);
        let directory = words.next().expect("DIRECTORY").into();
        let port = words.next().expect("PORT").parse().expect("a port");
        Arguments { directory, port, words: words.collect() }
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|each| each == word)
    }

    pub fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.join(name)).expect(name)
    }

    pub fn listener(&self) -> TcpListener {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        listener
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = if self.has("ring") { ring::default_provider() } else { aws_lc_rs::default_provider() };
        if self.has("p384") {
            provider.kx_groups.retain(|group| group.name() == NamedGroup::secp384r1);
        }
        provider
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = rustls::ALL_VERSIONS.to_vec();
        versions.retain(|version| match version.version {
            rustls::ProtocolVersion::TLSv1_2 => !self.has("tls13"),
            _ => !self.has("tls12"),
        });
        versions
    }

    /// A client certificate is demanded.
    pub fn rustls(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(self.provider());
        let certificates = |name| CertificateDer::pem_slice_iter(&self.file(name)).collect::<Result<Vec<_>, _>>().expect(name);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates("clients.crt"));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().expect("clients.crt");
        let key = PrivateKeyDer::from_pem_slice(&self.file("server.key")).expect("server.key");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions())
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates("server.crt"), key)
            .expect("server.crt");
        config.require_ems = self.has("ems");
        Arc::new(config)
    }
}
