// SPDX-License-Identifier: Apache-2.0

// Asks the enclave for a watermark, with the identity that mtls-agent installed.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Enclave speaks HTTP over mutual TLS. After a rotation, the next request goes out with the new identity.
type Enclave struct {
	Dir, URL string

	mutex  sync.Mutex
	set    string
	client *http.Client
}

// currentSet is the directory of the set that is installed now: certificate, key and CA that belong together.
func currentSet(dir string) (string, error) {
	data := filepath.Join(dir, "..data")
	if _, err := os.Stat(data); err != nil {
		data = dir
	}
	return filepath.EvalSymlinks(data)
}

func newClient(set string) (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(set, "client.crt"), filepath.Join(set, "client.key"))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(set, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s/ca.crt holds no certificate", set)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}
	transport := &http.Transport{TLSClientConfig: config, IdleConnTimeout: time.Minute}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}, nil
}

func (e *Enclave) current() (*http.Client, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	set, err := currentSet(e.Dir)
	for err == nil && set != e.set {
		var client *http.Client
		if client, err = newClient(set); err == nil {
			if e.client != nil {
				e.client.CloseIdleConnections()
			}
			e.set, e.client = set, client
		} else if now, again := currentSet(e.Dir); again == nil && now != set {
			// A set that was replaced may be gone before all of it was read: again, with the new one.
			set, err = now, nil
		}
	}
	return e.client, err
}

// Get returns the body of an answer 200.
func (e *Enclave) Get(path string) ([]byte, error) {
	client, err := e.current()
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
	enclave := &Enclave{
		Dir: environment("CERT_DIR", "/etc/ecs/mtls"),
		URL: environment("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000"),
	}
	body, err := enclave.Get("/api/watermark")
	if err != nil {
		log.Fatal("watermark: ", err)
	}
	os.Stdout.Write(body)
}
