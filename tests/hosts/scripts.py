# SPDX-License-Identifier: Apache-2.0
"""Scripts that stand inside of other files."""

import subprocess


def shellcheck(text, shell="sh"):
    done = subprocess.run(
        ["shellcheck", f"--shell={shell}", "-"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
