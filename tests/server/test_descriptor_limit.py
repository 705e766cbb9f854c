"""The limit of open files, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="Windows has no such limit")

SCRIPT = """
import resource
from bela_module.server.descriptor_limit import raise_descriptor_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))
print(raise_descriptor_limit(600), resource.getrlimit(resource.RLIMIT_NOFILE))
print(raise_descriptor_limit(500), raise_descriptor_limit(5000))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_it_is_raised_as_far_as_allowed_and_never_lowered() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split("\n")[:3] == ["600 (600, 1000)", "600 1000", "(1000, 1000)"]
