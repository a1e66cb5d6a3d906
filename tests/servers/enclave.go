// SPDX-License-Identifier: Apache-2.0

// An enclave in Go: enclave DIRECTORY PORT [tls13]
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"path/filepath"
)

func main() {
	dir, port := os.Args[1], os.Args[2]
	clients := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(dir, "clients.crt"))
	if err != nil || !clients.AppendCertsFromPEM(pem) {
		log.Fatal("clients.crt: ", err)
	}
	config := &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs:  clients,
		MinVersion: tls.VersionTLS12,
	}
	if len(os.Args) > 3 {
		config.MinVersion = tls.VersionTLS13
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{
			"server": "go", "path": r.URL.Path, "client": r.TLS.PeerCertificates[0].Subject.String(),
		})
	}
	server := &http.Server{Addr: "127.0.0.1:" + port, TLSConfig: config, Handler: http.HandlerFunc(answer)}
	log.Fatal(server.ListenAndServeTLS(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")))
}
