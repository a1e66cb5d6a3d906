// SPDX-License-Identifier: Apache-2.0

// An enclave in Go: enclave DIRECTORY PORT [WORD...]; words: tls12, tls13, p384;
// nsm=URL: attests by the connection's exporter (RFC 9266), which what answers at URL signs.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
	nsm := ""
	for _, word := range os.Args[3:] {
		switch word {
		case "tls12":
			config.MaxVersion = tls.VersionTLS12
		case "tls13":
			config.MinVersion = tls.VersionTLS13
		case "p384":
			config.CurvePreferences = []tls.CurveID{tls.CurveP384}
		default:
			nsm = strings.TrimPrefix(word, "nsm=")
		}
	}
	attest := func(w http.ResponseWriter, r *http.Request) {
		exporter, err := r.TLS.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
		if err != nil {
			http.Error(w, err.Error(), 503)
			return
		}
		signed, err := http.Get(nsm + "?exporter=" + hex.EncodeToString(exporter) + "&" + r.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), 503)
			return
		}
		defer signed.Body.Close()
		io.Copy(w, signed.Body)
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		if nsm != "" && r.URL.Path == "/attestation" {
			attest(w, r)
			return
		}
		log.Println("resumed:", r.TLS.DidResume)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{
			"server": "go", "path": r.URL.Path, "client": r.TLS.PeerCertificates[0].Subject.String(),
		})
	}
	server := &http.Server{Addr: "127.0.0.1:" + port, TLSConfig: config, Handler: http.HandlerFunc(answer)}
	log.Fatal(server.ListenAndServeTLS(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")))
}
