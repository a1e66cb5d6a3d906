// SPDX-License-Identifier: Apache-2.0
//! hyper on tokio-rustls.

use std::convert::Infallible;

use enclaves::{Arguments, ANSWER};
use hyper::service::service_fn;
use hyper::Response;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[tokio::main]
async fn main() {
    let arguments = Arguments::read();
    let listener = TcpListener::from_std(arguments.listener()).expect("a listener");
    let acceptor = TlsAcceptor::from(arguments.rustls());
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let stream = match acceptor.accept(stream).await {
                Ok(stream) => stream,
                Err(error) => return eprintln!("handshake: {error}"),
            };
            let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(ANSWER.to_string())) });
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = served.await {
                eprintln!("connection: {error}");
            }
        });
    }
}
