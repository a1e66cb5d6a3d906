// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"log"
	"os"
	"strconv"
)

// Many ask at the same time, until one request fails: takes the place of main() for the argument COUNT.
func init() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	enclave := newEnclave(os.Getenv("CERT_DIR"), os.Getenv("ENCLAVE_ENDPOINT"))
	for number := 0; number < count; number++ {
		number := number
		go func() {
			for {
				body, err := enclave.Get("/api/watermark?" + strconv.Itoa(number))
				if err != nil {
					log.Fatal(err)
				}
				os.Stdout.Write(append(bytes.TrimSpace(body), '\n'))
			}
		}()
	}
	select {}
}
