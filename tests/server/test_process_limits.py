"""The limit of open files, in a process of its own; how long one thread holds up the others."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from bela_module.server.process_limits import limit_pauses

SCRIPT = """
import resource
from bela_module.server.process_limits import raise_descriptor_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000))
print(raise_descriptor_limit(600), resource.getrlimit(resource.RLIMIT_NOFILE))
print(raise_descriptor_limit(500), raise_descriptor_limit(5000))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_it_is_raised_as_far_as_allowed_and_never_lowered() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split("\n")[:3] == ["600 (600, 1000)", "600 1000", "(1000, 1000)"]


def test_what_is_loaded_is_left_out_of_collections_until_the_end() -> None:
    switch_interval_s = sys.getswitchinterval()
    n_objects = len(gc.get_objects())
    with limit_pauses():
        assert gc.get_freeze_count() > 0
        assert len(gc.get_objects()) < n_objects / 2
        assert sys.getswitchinterval() < switch_interval_s
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == switch_interval_s
