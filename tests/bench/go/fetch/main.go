// SPDX-License-Identifier: Apache-2.0

// What a Go programmer writes instead of the agent: `fetch FOLDER ENDPOINT SECRET...` reads each secret, checks key
// and certificate, does one mutual TLS probe with it, and changes FOLDER/SECRET/current at once.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

type identity struct {
	Cert string `json:"client_cert"`
	Key  string `json:"client_key"`
	CA   string `json:"ca_cert"`
}

func read(client *secretsmanager.Client, secret string) (*identity, error) {
	out, err := client.GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(secret)})
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(aws.ToString(out.SecretString)))
	decoder.DisallowUnknownFields()
	found := new(identity)
	return found, decoder.Decode(found)
}

func probe(found *identity, endpoint string) error {
	pair, err := tls.X509KeyPair([]byte(found.Cert), []byte(found.Key))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(found.CA)) {
		return errors.New("no CA")
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usages}); err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	answer, err := (&http.Client{Transport: transport}).Get(endpoint)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", endpoint, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Sync(), file.Close())
}

func flush(folder string) error {
	file, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func install(found *identity, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	version, err := os.MkdirTemp(folder, "set-")
	if err != nil {
		return err
	}
	link := filepath.Join(folder, "next")
	err = errors.Join(
		write(filepath.Join(version, "client.crt"), found.Cert),
		write(filepath.Join(version, "client.key"), found.Key),
		write(filepath.Join(version, "ca.crt"), found.CA),
		flush(version),
		os.Symlink(filepath.Base(version), link))
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(link, filepath.Join(folder, "current")), flush(folder))
}

func main() {
	settings, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	client := secretsmanager.NewFromConfig(settings)
	var all sync.WaitGroup
	places := make(chan struct{}, 8)
	for _, secret := range os.Args[3:] {
		all.Add(1)
		go func() {
			defer all.Done()
			places <- struct{}{}
			found, err := read(client, secret)
			if err == nil {
				err = probe(found, os.Args[2])
			}
			if err == nil {
				err = install(found, filepath.Join(os.Args[1], secret))
			}
			<-places
			if err != nil {
				log.Fatalf("%s: %v", secret, err)
			}
		}()
	}
	all.Wait()
}
