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
    n_objects, thresholds = len(gc.get_objects()), gc.get_threshold()
    with limit_pauses():
        assert gc.get_threshold()[0] > thresholds[0]
        assert gc.get_freeze_count() > 0
        assert len(gc.get_objects()) < n_objects / 2
        assert sys.getswitchinterval() < switch_interval_s
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == thresholds
    assert sys.getswitchinterval() == switch_interval_s


THREADS = """
import ctypes, threading
from bela_module.server.process_limits import share_one_heap
share_one_heap()

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
ended = threading.Event()
def use_and_free(used):
    blocks = [libc.malloc(50_000) for _ in range(400)]
    for block in blocks:
        ctypes.memset(block, 1, 50_000)
    for block in blocks[:-1]:  # the last one keeps the heap as large as it is
        libc.free(block)
    used.set()
    ended.wait()  # a thread that lives keeps its heap
before = resident()
for _ in range(6):
    used = threading.Event()
    threading.Thread(target=use_and_free, args=(used,)).start()
    used.wait()
print(resident() - before)
ended.set()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this allocator")
def test_what_one_thread_has_freed_another_one_uses() -> None:
    found = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(found.stdout) < 60_000_000  # 120 MB in a heap for each thread
