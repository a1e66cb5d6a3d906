// SPDX-License-Identifier: Apache-2.0
//! How the certificate gets here: the CA's service says a nonce, and signs a request only with a document that carries
//! that nonce and the request's key. Lines of text over TCP, which the parent passes on; nothing in it is secret, and
//! nothing that the parent changes is signed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use base64::{engine::general_purpose::STANDARD, Engine};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};

use crate::{attest, Error};

const PATIENCE: Duration = Duration::from_secs(30);
const CHAIN_MAX: u64 = 65536;

/// The chain in PEM, leaf first.
pub fn certificate(key: &KeyPair, name: &str, ca: &str) -> Result<Vec<u8>, Error> {
    let mut stream = TcpStream::connect(ca)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut nonce = String::new();
    BufReader::new(stream.try_clone()?).take(256).read_line(&mut nonce)?;
    let document = attest::document(attest::Bound {
        nonce: Some(hex::decode(nonce.trim())?),
        user_data: None,
        public_key: Some(key.subject_public_key_info()),
    })?;
    let request = CertificateParams::new(vec![name.to_string()])?.serialize_request(key)?;
    writeln!(stream, "{} {}", STANDARD.encode(request.der()), STANDARD.encode(document))?;
    let mut chain = Vec::new();
    stream.take(CHAIN_MAX).read_to_end(&mut chain)?;
    if chain.is_empty() {
        return Err("the CA has signed nothing".into());
    }
    Ok(chain)
}
