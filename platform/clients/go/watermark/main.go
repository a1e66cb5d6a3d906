// SPDX-License-Identifier: Apache-2.0

// Asks the enclave for a watermark, with the identity that mtls-agent installed: once, or again and again
// (`watermark SECONDS`, the pause in between).
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"example.com/watermark/installedset"
)

// Shows the leaf of the set, and trusts its CA alone.
func newClient(identity installedset.Identity) *http.Client {
	config := &tls.Config{Certificates: []tls.Certificate{identity.Pair}, RootCAs: identity.Roots}
	transport := &http.Transport{TLSClientConfig: config, IdleConnTimeout: time.Minute}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// Enclave speaks HTTP over mutual TLS. After a rotation, the next request goes out with the new identity. Idle
// connections of the one before end at once, one that is in use ends after its answer.
type Enclave struct {
	URL     string
	clients installedset.Follower[*http.Client]
}

func newEnclave(dir, url string) *Enclave {
	enclave := &Enclave{URL: url}
	enclave.clients.Dir = dir
	enclave.clients.Make = newClient
	enclave.clients.Retire = (*http.Client).CloseIdleConnections
	return enclave
}

// Get returns the body of an answer 200.
func (e *Enclave) Get(path string) ([]byte, error) {
	client, err := e.clients.Current()
	if err != nil {
		return nil, err
	}
	response, err := client.Get(e.URL + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the enclave answered %s", response.Status)
	}
	return io.ReadAll(response.Body)
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("watermark: ")
	endpoint := environment("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000")
	enclave := newEnclave(environment("CERT_DIR", "/etc/ecs/mtls"), endpoint)
	for {
		body, err := enclave.Get("/api/watermark")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", bytes.TrimSpace(body))
		if len(os.Args) < 2 {
			return
		}
		pause, err := time.ParseDuration(os.Args[1] + "s")
		if err != nil {
			log.Fatal(err)
		}
		time.Sleep(pause)
	}
}
