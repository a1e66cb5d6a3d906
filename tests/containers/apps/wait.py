# SPDX-License-Identifier: Apache-2.0
"""An application that starts before its identity is there, and waits for it."""

import os
import runpy
import time

import watermark

print("waiting", flush=True)
while not os.path.exists(f"{watermark.CERT_DIR}/client.key"):
    time.sleep(0.1)
runpy.run_module("follow")
