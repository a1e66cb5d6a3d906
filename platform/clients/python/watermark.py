#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks the enclave for a watermark, with the identity that mtls-agent installed. Needs the package requests."""

import json
import os

import requests

CERT_DIR = os.environ.get("CERT_DIR", "/etc/ecs/mtls")
ENCLAVE = os.environ.get("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000")


def current_set():
    """The directory of the set that is installed now: certificate, key and CA that belong together."""
    data = os.path.join(CERT_DIR, "..data")
    return os.path.realpath(data if os.path.exists(data) else CERT_DIR)


class Enclave:
    """HTTP over mutual TLS. After a rotation, the next request goes out with the new identity."""

    def __init__(self, url):
        self.url = url
        self._set = None
        self._session = None

    def get(self, path):
        while True:
            current = current_set()
            try:
                return self._session_of(current).get(self.url + path, timeout=10)
            except OSError:
                if current_set() == current:
                    raise
                # A set that was replaced may be gone before all of it was read: again, with the new one.

    def _session_of(self, current):
        if current != self._set:
            session = requests.Session()
            session.trust_env = False  # else REQUESTS_CA_BUNDLE would replace our CA
            session.verify = os.path.join(current, "ca.crt")
            session.cert = (os.path.join(current, "client.crt"), os.path.join(current, "client.key"))
            self._set, self._session = current, session
        return self._session


def main():
    response = Enclave(ENCLAVE).get("/api/watermark")
    response.raise_for_status()
    print(json.dumps(response.json()))


if __name__ == "__main__":
    main()
