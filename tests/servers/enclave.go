// SPDX-License-Identifier: Apache-2.0

// An enclave in Go: enclave DIRECTORY PORT [WORD...]; words: tls12, tls13, p384
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
	for _, word := range os.Args[3:] {
		switch word {
		case "tls12":
			config.MaxVersion = tls.VersionTLS12
		case "tls13":
			config.MinVersion = tls.VersionTLS13
		case "p384":
			config.CurvePreferences = []tls.CurveID{tls.CurveP384}
		}
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		log.Println("resumed:", r.TLS.DidResume)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{
			"server": "go", "path": r.URL.Path, "client": r.TLS.PeerCertificates[0].Subject.String(),
		})
	}
	server := &http.Server{Addr: "127.0.0.1:" + port, TLSConfig: config, Handler: http.HandlerFunc(answer)}
	log.Fatal(server.ListenAndServeTLS(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")))
}
