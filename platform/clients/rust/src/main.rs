// SPDX-License-Identifier: Apache-2.0
//! Asks the enclave for a watermark, with the identity that mtls-agent installed: once, or again and again
//! (`watermark SECONDS`, the pause in between).

mod installed_set;

use installed_set::{Files, Follower, Result};
use reqwest::{Certificate, Client, Identity};
use std::env;
use std::process::ExitCode;
use std::time::Duration;

/// A client that shows the set's leaf and trusts the set's CA alone.
fn client(mut set: Files) -> Result<Client> {
    set.cert.push(b'\n');
    set.cert.append(&mut set.key);
    Ok(Client::builder()
        .identity(Identity::from_pem(&set.cert)?)
        .tls_certs_only(Certificate::from_pem_bundle(&set.ca)?)
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?)
}

/// After a rotation, the next request goes out with the new identity. The client before is dropped, and with it its
/// idle connections, when the last request that uses it has ended.
async fn get(enclave: &Follower<Client>, url: &str) -> Result<String> {
    let response = enclave.current()?.get(url).send().await?;
    Ok(response.error_for_status()?.text().await?)
}

async fn ask() -> Result<()> {
    let dir = env::var("CERT_DIR").unwrap_or("/etc/ecs/mtls".into());
    let endpoint = env::var("ENCLAVE_ENDPOINT").unwrap_or("https://enclave.example.com:3000".into());
    let pause = env::args().nth(1).map(|seconds| seconds.parse()).transpose()?;
    let enclave = Follower::new(dir, client);
    loop {
        println!("{}", get(&enclave, &format!("{endpoint}/api/watermark")).await?.trim_end());
        match pause {
            Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
            None => return Ok(()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Which cryptography rustls is to use; without a choice there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Err(error) = ask().await else { return ExitCode::SUCCESS };
    eprint!("watermark: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}
