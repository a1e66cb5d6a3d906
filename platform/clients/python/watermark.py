#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Asks the enclave for a watermark with requests and the identity that mtls-agent installed: once, or again and again
(`watermark.py SECONDS`, the pause in between).
"""

import json
import os
import sys
import time

import requests
from requests.adapters import HTTPAdapter

from installed_set import Follower, client_context

CERT_DIR = os.environ.get("CERT_DIR", "/etc/ecs/mtls")
ENCLAVE = os.environ.get("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000")


class SetAdapter(HTTPAdapter):
    """Connections with the identity, and the CA, of one set."""

    def __init__(self, installed_set):
        self._context = client_context(installed_set)
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def cert_verify(self, *_):
        """The context says who is trusted. What stands here in requests would add all public CAs to it."""


def session(installed_set):
    made = requests.Session()
    made.trust_env = False  # no proxy, and no CA, from the environment
    made.mount("https://", SetAdapter(installed_set))
    return made


class Enclave:
    """
    HTTP over mutual TLS. After a rotation, the next request goes out with the new identity. The session before closes
    its connections when the last request that uses it has ended.
    """

    def __init__(self, url):
        self.url = url
        self._session = Follower(CERT_DIR, session)

    def get(self, path):
        response = self._session.current().get(self.url + path, timeout=30)
        response.raise_for_status()
        return response


def main():
    enclave = Enclave(ENCLAVE)
    while True:
        print(json.dumps(enclave.get("/api/watermark").json()), flush=True)
        if len(sys.argv) == 1:
            return
        time.sleep(float(sys.argv[1]))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"watermark: {error}")
