// SPDX-License-Identifier: Apache-2.0
//! axum on axum-server with rustls.

use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use enclaves::{Arguments, ANSWER};

#[tokio::main]
async fn main() {
    let arguments = Arguments::read();
    let application = Router::new().fallback(|| async { ANSWER });
    axum_server::from_tcp_rustls(arguments.listener(), RustlsConfig::from_config(arguments.rustls()))
        .expect("a listener")
        .serve(application.into_make_service())
        .await
        .expect("to serve");
}
