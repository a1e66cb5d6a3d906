# SPDX-License-Identifier: Apache-2.0
"""Many threads ask at the same time, until one request fails: crowd.py MODULE THREADS"""

import importlib
import os
import sys
import threading
import traceback

module = importlib.import_module(sys.argv[1])
if hasattr(module, "Enclave"):
    get = module.Enclave(module.ENCLAVE).get
else:
    clients = module.Follower(module.CERT_DIR, module.client)
    get = lambda path: clients.current().get(path).raise_for_status()  # noqa: E731


def ask(number):
    try:
        while True:
            sys.stdout.write(get(f"/api/watermark?{number}").text.strip() + "\n")
            sys.stdout.flush()
    except Exception:
        traceback.print_exc()
        os._exit(1)


for number in range(int(sys.argv[2])):
    threading.Thread(target=ask, args=[number]).start()
