// SPDX-License-Identifier: Apache-2.0

// Serves over mutual TLS with the identity that mtls-agent installed, to clients of its CA: the leaf needs serverAuth and
// the service's names.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/watermark/installedset"
)

// Shows the leaf of the set, and lets in clients of its CA alone. A resumed session would bring in a client of the CA
// before, so there are none.
func serverConfig(identity installedset.Identity) *tls.Config {
	return &tls.Config{
		Certificates:           []tls.Certificate{identity.Pair},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              identity.Roots,
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
	}
}

type configs = installedset.Follower[*tls.Config]
type configKey struct{}

// A connection remembers the configuration that was current when it came. After a rotation it gets one more answer.
func remember(follower *configs) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, _ net.Conn) context.Context {
		config, _ := follower.Current()
		return context.WithValue(ctx, configKey{}, config)
	}
}

func answer(follower *configs) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if now, err := follower.Current(); err == nil && now != r.Context().Value(configKey{}) {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"client": r.TLS.PeerCertificates[0].Subject.String()})
	}
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	follower := &configs{Dir: environment("CERT_DIR", "/etc/ecs/mtls"), Make: serverConfig}
	if _, err := follower.Current(); err != nil {
		log.Fatal("server: ", err)
	}
	server := &http.Server{
		Addr:        environment("LISTEN", "127.0.0.1:8443"),
		Handler:     answer(follower),
		ConnContext: remember(follower),
		TLSConfig: &tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return follower.Current() },
		},
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 alone
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	log.Fatal("server: ", server.ListenAndServeTLS("", ""))
}
