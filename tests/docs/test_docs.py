# SPDX-License-Identifier: Apache-2.0
"""Every block of the pages that is marked as runnable is run, page by page, on a host of the page's own."""

import pytest

from agent import ROOT
from host import Host
from marks import fits, pages, steps
from servers.aws import Aws

AWSCLI = ROOT / "build/docs-venv/bin/aws"
STEPS = [step for page in pages() for step in steps(page)]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """hosts(page) is the page's; one at a time."""
    here = {}

    def stop():
        for one in here.values():
            one.stop()
            one.aws.stop()
        here.clear()

    def of(page):
        if page not in here:
            stop()
            directory = tmp_path_factory.mktemp("host")
            here[page] = Host(directory, Aws(directory / "aws"), AWSCLI)
        return here[page]

    yield of
    stop()


@pytest.mark.parametrize("step", STEPS, ids=[f"{step.page}:{step.line}" for step in STEPS])
def test_a_block_is_true(hosts, step):
    host = hosts(step.page)
    for name in step.have:
        host.have(name)
    scripts = step.commands or [(step.script, step.prints)]
    for number, (script, shown) in enumerate(scripts, 1):
        done = host.run(script)
        status = step.status if number == len(scripts) else 0
        assert done.returncode == status, f"{step.page}:{step.line}: exit {done.returncode}\n{script}{done.stdout}"
        assert shown is None or fits(shown, done.stdout), f"{step.page}:{step.line}: printed\n{done.stdout}\nshown\n{shown}"


@pytest.mark.parametrize(
    ("shown", "printed", "true"),
    [
        ("healthy\n", "healthy\n", True),
        ("healthy\n", "unhealthy\n", False),
        ("healthy\n", "healthy\nand more\n", False),
        ("as of 2026-11-26T12:04:02Z\n", "as of  2027-01-01T00:00:00Z\n", True),
        ("27 of 27 accepted\n", "1 of 1 accepted\n", True),
        ("27 of 27 accepted\n", "1 of 1 refused\n", False),
        ("pcr0 7fb5…e2\n", f"pcr0 {'0a' * 48}\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("a … d\n", "a b c d\n", True),
    ],
)
def test_what_fits(shown, printed, true):
    """The comparison itself: a test that cannot fail shows nothing."""
    assert fits(shown, printed) == true
