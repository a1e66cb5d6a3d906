// SPDX-License-Identifier: Apache-2.0

// Package installedset reads the identity that mtls-agent has installed: as one set, and again after a rotation.
package installedset

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Identity is a leaf with its chain and key, and the CA of the peers. They belong together.
type Identity struct {
	Pair  tls.Certificate
	Roots *x509.CertPool
}

// Follower keeps what Make returns for as long as the set that it was made from is the installed one.
type Follower[T any] struct {
	Dir    string
	Make   func(Identity) T
	Retire func(T) // is given what Make returned for the set before; may be nil

	mutex sync.Mutex
	set   string
	kept  T
}

// Current is what belongs to the set that is installed now. It costs one readlink(2) where that has not changed.
func (f *Follower[T]) Current() (T, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	set, err := installed(f.Dir)
	for err == nil && set != f.set {
		var identity Identity
		if identity, err = read(set); err == nil {
			made := f.Make(identity)
			if f.Retire != nil && f.set != "" {
				f.Retire(f.kept)
			}
			f.set, f.kept = set, made
		} else if now, again := installed(f.Dir); errors.Is(err, fs.ErrNotExist) && again == nil && now != set {
			// A set that was replaced may be gone before all of it was read: again, with the new one.
			set, err = now, nil
		}
	}
	return f.kept, err
}

// The directory behind ..data. Where files were put by other means there is no such link, and nothing to follow.
func installed(dir string) (string, error) {
	set, err := os.Readlink(filepath.Join(dir, "..data"))
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	return filepath.Join(dir, set), err
}

func read(set string) (identity Identity, err error) {
	identity.Pair, err = tls.LoadX509KeyPair(filepath.Join(set, "client.crt"), filepath.Join(set, "client.key"))
	if err != nil {
		return identity, err
	}
	pem, err := os.ReadFile(filepath.Join(set, "ca.crt"))
	if err != nil {
		return identity, err
	}
	identity.Roots = x509.NewCertPool()
	if !identity.Roots.AppendCertsFromPEM(pem) {
		return identity, fmt.Errorf("%s/ca.crt holds no certificate", set)
	}
	return identity, nil
}
