# SPDX-License-Identifier: Apache-2.0
"""Agents that wait for their peers at the same time, since a peer's own clock is most of what they wait for."""

from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 12


def side_by_side(names, start):
    """start(name) gives a server and an agent that runs, in this order; by name, the server and the agent's result."""

    def run(name):
        server, process = start(name)
        result = process.finish()
        server.stop()
        return server, result

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(names, pool.map(run, names)))
