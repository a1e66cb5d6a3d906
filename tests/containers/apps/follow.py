# SPDX-License-Identifier: Apache-2.0
"""An application that follows rotations: says as whom the enclave knows it, whenever that changes."""

import signal
import sys
import time

import watermark

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
enclave = watermark.Enclave(watermark.ENCLAVE)
known = None
while True:
    client = enclave.get("/api/watermark").json()["client"]
    if client != known:
        print(client, flush=True)
    known = client
    time.sleep(0.1)
