# SPDX-License-Identifier: Apache-2.0
"""The fixtures and hooks of tests/e2e, and an enclave that follows rotations; what cannot be built here is skipped."""

import importlib.util
import subprocess

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent import ROOT
from programs import Missing
from rotating import Rotation

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if not name.startswith("_")})


@pytest.fixture
def rotation(tmp_path, agent, aws, names, up):
    """An installed identity, and an enclave that trusts it."""
    return Rotation(agent, aws, next(names), up)


@pytest.fixture
def own(agent, aws, names, up):
    """An identity that is a server's and a client's."""
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return Rotation(agent, aws, next(names), up, names=["localhost"], usage=usage)


@pytest.fixture
def started(tmp_path):
    """started(argv, env) runs a program until the test ends; its output is in the files out and err there."""
    children = []

    def start(argv, env):
        directory = tmp_path / f"program-{len(children)}"
        directory.mkdir()
        with open(directory / "out", "wb") as out, open(directory / "err", "wb") as err:
            child = subprocess.Popen(
                [*map(str, argv)], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory
            )
        child.out, child.err = directory / "out", directory / "err"
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


@pytest.fixture
def made():
    """made(make) is what that returns; where this machine lacks something, the test is skipped with the reason."""

    def make_or_skip(make):
        try:
            return make()
        except Missing as missing:
            pytest.skip(str(missing))

    return make_or_skip
