// SPDX-License-Identifier: Apache-2.0
//! s2n-tls, which is silent for 10 to 30 s before it closes a handshake that failed.

use enclaves::{Arguments, ANSWER};
use s2n_tls::callbacks::VerifyHostNameCallback;
use s2n_tls::config::Config;
use s2n_tls::enums::ClientAuthType;
use s2n_tls::security;
use s2n_tls_tokio::TlsAcceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Clients are known by their CA alone.
struct AnyName;

impl VerifyHostNameCallback for AnyName {
    fn verify_host_name(&self, _: &str) -> bool {
        true
    }
}

fn config(arguments: &Arguments) -> Result<Config, s2n_tls::error::Error> {
    let mut builder = Config::builder();
    builder.with_system_certs(false)?;
    builder.set_security_policy(if arguments.has("tls12") { &security::DEFAULT } else { &security::DEFAULT_TLS13 })?;
    builder.load_pem(&arguments.file("server.crt"), &arguments.file("server.key"))?;
    builder.trust_pem(&arguments.file("clients.crt"))?;
    builder.set_client_auth_type(ClientAuthType::Required)?;
    builder.set_verify_host_callback(AnyName)?;
    builder.build()
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::read();
    let acceptor = TlsAcceptor::new(config(&arguments).expect("a configuration"));
    let listener = TcpListener::from_std(arguments.listener()).expect("a listener");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut stream = match acceptor.accept(stream).await {
                Ok(stream) => stream,
                Err(error) => return eprintln!("handshake: {error}"),
            };
            let mut request = [0; 4096];
            if matches!(stream.read(&mut request).await, Ok(size) if size > 0) {
                let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{ANSWER}", ANSWER.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            let _ = stream.shutdown().await;
        });
    }
}
