# SPDX-License-Identifier: Apache-2.0
"""`run` beside peers that never stop talking (servers/endless.py): what it still does, and what it costs."""

import os
import time
from pathlib import Path

from agent import wait_for
from servers import endless
from servers.peer import Peer

NAMES = [
    f"{name}{place}{speed}"
    for speed in ("", " in drops")
    for table, places in (
        (endless.WASTE, (" in plain text", " after the handshake")),
        (endless.ANSWERS, ("",)),
    )
    for name in table
    for place in places
] + ["a byte after Finished"]


def talks_of(authority, directory):
    """Each kind of peer as an enclave of that CA, by name."""
    found = endless.enclaves(authority.issue("Enclave", names=["localhost"]), directory, authority.pem)
    assert sorted(found) == sorted(NAMES)
    return found


def processor_seconds(pid):
    """Of a process, with all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Beside:
    """A `run` with a good endpoint and one of each kind, which has installed its identity."""

    def __init__(self, agent, serve, arn, enclave, talks, up, **options):
        self._agent = agent
        self._peers = [up(Peer(talks[name])) for name in NAMES]
        self.service = serve(arn, endpoint=[enclave.endpoint, *(peer.endpoint for peer in self._peers)], **options)
        self.service.wait("installed", seconds=80)

    def _counts(self):
        return [endpoint["1h"] for endpoint in self._agent.status()["endpoints"]]

    def lives(self, rounds, seconds=0, patience=80):
        """
        Waits for so many seconds and so many rounds of probes, all of the good endpoint being accepted; which share of
        a processor it took.
        """
        started, used = time.monotonic(), processor_seconds(self.service.pid)
        before = [count["asked"] for count in self._counts()]

        def done():
            assert self.service.child.poll() is None, self.service.tail()
            counts = self._counts()
            assert counts[0]["accepted"] == counts[0]["asked"], self.service.tail()
            enough = all(count["asked"] - old >= rounds for count, old in zip(counts, before))
            return enough and time.monotonic() - started >= seconds

        wait_for(done, seconds + patience)
        return (processor_seconds(self.service.pid) - used) / (time.monotonic() - started)
