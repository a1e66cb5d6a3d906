# SPDX-License-Identifier: Apache-2.0
"""An application that reads its identity at its start and at SIGHUP alone, and leaves its number there."""

import os
import signal
import sys

import watermark


def ask(*_):
    print(watermark.Enclave(watermark.ENCLAVE).get("/api/watermark").json()["client"], flush=True)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGHUP, ask)
with open(os.path.join(watermark.CERT_DIR, "app.pid"), "w") as file:
    file.write(f"{os.getpid()}\n")
ask()
while True:
    signal.pause()
