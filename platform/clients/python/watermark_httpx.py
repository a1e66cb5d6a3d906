#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Asks the enclave for a watermark with httpx and the identity that mtls-agent installed: once, or again and again
(`watermark_httpx.py SECONDS`, the pause in between).
"""

import json
import os
import sys
import time

import httpx

from installed_set import Follower, client_context

CERT_DIR = os.environ.get("CERT_DIR", "/etc/ecs/mtls")
ENCLAVE = os.environ.get("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000")


def client(installed_set):
    """trust_env=False: no proxy, and no CA, from the environment."""
    return httpx.Client(base_url=ENCLAVE, verify=client_context(installed_set), trust_env=False, timeout=30)


def main():
    # After a rotation, the next request goes out with the new identity. The client before closes its connections when
    # the last request that uses it has ended.
    enclave = Follower(CERT_DIR, client)
    while True:
        response = enclave.current().get("/api/watermark")
        response.raise_for_status()
        print(json.dumps(response.json()), flush=True)
        if len(sys.argv) == 1:
            return
        time.sleep(float(sys.argv[1]))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, httpx.HTTPError) as error:
        sys.exit(f"watermark: {error}")
