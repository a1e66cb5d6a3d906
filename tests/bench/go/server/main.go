// SPDX-License-Identifier: Apache-2.0

// Stands for Secrets Manager and for an enclave: `server FOLDER` of aws.crt, aws.key, enclave.crt, enclave.key,
// clients.crt and document.json. Prints both ports.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

func read(name string) []byte {
	data, err := os.ReadFile(filepath.Join(os.Args[1], name))
	if err != nil {
		log.Fatal(err)
	}
	return data
}

// serve answers HTTP/1.1 alone, as Secrets Manager does.
func serve(name string, config *tls.Config, handler http.HandlerFunc) int {
	pair, err := tls.X509KeyPair(read(name+".crt"), read(name+".key"))
	if err != nil {
		log.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	config.NextProtos = []string{"http/1.1"}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(tls.NewListener(listener, config), handler)) }()
	return listener.Addr().(*net.TCPAddr).Port
}

func main() {
	document := string(read("document.json"))
	secret := func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ SecretId string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Header.Get("Authorization") == "" {
			http.Error(w, "refused", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		json.NewEncoder(w).Encode(map[string]any{
			"ARN":  asked.SecretId,
			"Name": "bench", "SecretString": document, "CreatedDate": 1700000000.0,
			"VersionId": "5f0d8b1c-9a53-4d7e-8a0b-7c0d4b7b1f11", "VersionStages": []string{"AWSCURRENT"},
		})
	}
	health := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"status":"healthy"}`) }
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(read("clients.crt"))
	aws := serve("aws", &tls.Config{}, secret)
	enclave := serve("enclave", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}, health)
	fmt.Println(aws, enclave)
	select {}
}
