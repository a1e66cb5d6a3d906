# SPDX-License-Identifier: Apache-2.0
"""The closing line of all tests here."""

import importlib.util

from agent import ROOT

_spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)
globals().update({name: value for name, value in vars(_e2e).items() if name.startswith("pytest_")})
