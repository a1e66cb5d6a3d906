// SPDX-License-Identifier: Apache-2.0
//! An enclave that proves what it is. Its TLS key is made here and never leaves; the CA signs it only with an attestation
//! (`enrol`); every caller gets a document with his own nonce and the key that he speaks to (`attest`).

mod attest;
mod enrol;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Query, State},
    http::StatusCode,
    routing::get,
    Json, Router,
};
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{KeyPair, PublicKeyData};
use rustls::{
    pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
    RootCertStore, ServerConfig,
};
use serde::Deserialize;
use serde_json::{json, Value};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What all requests share: SHA-256 of the TLS key's SubjectPublicKeyInfo. Nothing else is ever bound.
struct Enclave {
    key_hash: Vec<u8>,
}

#[derive(Deserialize)]
struct Asked {
    nonce: String,
}

/// Takes a nonce and nothing else from the caller: whoever could choose user_data could have any key attested.
async fn attestation(
    State(enclave): State<Arc<Enclave>>,
    Query(asked): Query<Asked>,
) -> Result<Vec<u8>, StatusCode> {
    let nonce = hex::decode(&asked.nonce).map_err(|_| StatusCode::BAD_REQUEST)?;
    if nonce.is_empty() || nonce.len() > 64 {
        return Err(StatusCode::BAD_REQUEST);
    }
    let made = tokio::task::spawn_blocking(move || {
        attest::document(attest::Bound { nonce: Some(nonce), user_data: Some(enclave.key_hash.clone()), public_key: None })
    });
    match made.await {
        Ok(Ok(document)) => Ok(document),
        _ => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn health() -> Json<Value> {
    Json(json!({"status": "healthy"}))
}

async fn watermark() -> Json<Value> {
    Json(json!({"watermark": "c2VlbiBhbmQgc2lnbmVk"}))
}

fn variable(name: &str) -> Result<String, Error> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

/// Mutual TLS: only clients of CLIENT_CA get as far as a request.
fn tls(key: &KeyPair, chain: &[u8]) -> Result<ServerConfig, Error> {
    let mut clients = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(variable("CLIENT_CA")?)? {
        clients.add(certificate?)?;
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(clients)).build()?;
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "no cryptography")?;
    let address: SocketAddr = variable("LISTEN").unwrap_or("127.0.0.1:3000".into()).parse()?;
    let key = KeyPair::generate()?;
    let chain = enrol::certificate(&key, &variable("NAME")?, &variable("CA")?)?;
    let enclave = Arc::new(Enclave { key_hash: attest::sha256(&key.subject_public_key_info()) });
    let routes = Router::new()
        .route("/health", get(health))
        .route("/api/watermark", get(watermark))
        .route("/attestation", get(attestation))
        .with_state(enclave);
    eprintln!("listening on {address}");
    let config = RustlsConfig::from_config(Arc::new(tls(&key, &chain)?));
    axum_server::bind_rustls(address, config).serve(routes.into_make_service()).await?;
    Ok(())
}
