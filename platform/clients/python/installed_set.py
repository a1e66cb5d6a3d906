# SPDX-License-Identifier: Apache-2.0
"""The identity that mtls-agent has installed: read as one set, and read again after a rotation. Needs no package."""

import os
import ssl
import threading


def client_context(installed_set):
    """Shows the leaf of this set, and trusts its CA alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(f"{installed_set}/ca.crt")
    context.load_cert_chain(f"{installed_set}/client.crt", f"{installed_set}/client.key")
    return context


def server_context(installed_set):
    """The same for a service that lets in clients of this CA alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(f"{installed_set}/ca.crt")
    context.load_cert_chain(f"{installed_set}/client.crt", f"{installed_set}/client.key")
    return context


class Follower:
    """Keeps what read(directory of the set) has returned, for as long as that set is the installed one."""

    def __init__(self, directory, read):
        self._directory = directory
        self._read = read
        self._lock = threading.Lock()
        self._set = self._kept = None

    def current(self):
        """What belongs to the set that is installed now. Costs one readlink(2) where that has not changed."""
        with self._lock:
            while (installed := self._installed()) != self._set:
                try:
                    self._kept = self._read(installed)
                    self._set = installed
                except FileNotFoundError:
                    # A set that was replaced may be gone before all of it was read: again, with the new one.
                    if self._installed() == installed:
                        raise
            return self._kept

    def _installed(self):
        """The directory behind ..data. Where files were put by other means there is no such link: nothing to follow."""
        try:
            return os.path.join(self._directory, os.readlink(f"{self._directory}/..data"))
        except FileNotFoundError:
            return self._directory
