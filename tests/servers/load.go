// SPDX-License-Identifier: Apache-2.0

// Loads installed sets as a program in Go would: load DIRECTORY...
package main

import (
	"crypto/tls"
	"crypto/x509"
	"log"
	"os"
	"path/filepath"
)

func main() {
	for _, dir := range os.Args[1:] {
		_, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
		if err != nil {
			log.Fatal(dir, ": ", err)
		}
		pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
			log.Fatal(dir, ": ca.crt: ", err)
		}
	}
}
