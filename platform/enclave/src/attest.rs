// SPDX-License-Identifier: Apache-2.0
//! Attestation documents: of the NSM, /dev/nsm, or with the feature stand-in of a program in its place.

use crate::Error;

/// What a document carries of ours.
pub struct Bound {
    pub nonce: Option<Vec<u8>>,
    pub user_data: Option<Vec<u8>>,
    pub public_key: Option<Vec<u8>>,
}

pub fn sha256(data: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, data).as_ref().to_vec()
}

#[cfg(not(feature = "stand-in"))]
pub fn document(bound: Bound) -> Result<Vec<u8>, Error> {
    use aws_nitro_enclaves_nsm_api::{
        api::{Request, Response},
        driver::{nsm_exit, nsm_init, nsm_process_request},
    };

    let device = nsm_init();
    if device < 0 {
        return Err("/dev/nsm cannot be opened: this is no enclave".into());
    }
    let answer = nsm_process_request(
        device,
        Request::Attestation {
            nonce: bound.nonce.map(Into::into),
            user_data: bound.user_data.map(Into::into),
            public_key: bound.public_key.map(Into::into),
        },
    );
    nsm_exit(device);
    match answer {
        Response::Attestation { document } => Ok(document),
        other => Err(format!("the NSM answered {other:?}").into()),
    }
}

/// A line of three hexadecimal words, "-" for none, is answered by a document and the end.
#[cfg(feature = "stand-in")]
pub fn document(bound: Bound) -> Result<Vec<u8>, Error> {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    let word = |field: Option<Vec<u8>>| field.map_or("-".to_string(), hex::encode);
    let mut stream = UnixStream::connect(crate::variable("NSM_STAND_IN")?)?;
    writeln!(stream, "{} {} {}", word(bound.nonce), word(bound.user_data), word(bound.public_key))?;
    let mut document = Vec::new();
    stream.read_to_end(&mut document)?;
    Ok(document)
}
