"""Queues of consumers: their memory is given back, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from bela_module.streams.lsl.lsl_memory import return_large_blocks
return_large_blocks()

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
size = 8_000_000
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
def use_and_free():
    block, small = libc.malloc(size), libc.malloc(100)  # the small one lies behind it in a heap
    ctypes.memset(block, 1, size)
    libc.free(block)
before = resident()
for _ in range(20):
    thread = threading.Thread(target=use_and_free)
    thread.start()
    thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this allocator")
def test_large_blocks_that_are_freed_leave_nothing_behind() -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(found.stdout) < 8_000_000


HOLES = """
import ctypes
from bela_module.streams.lsl.lsl_memory import return_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
blocks = [libc.malloc(50_000) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 50_000)
for block in blocks[:-1]:  # the last one keeps the heap as large as it is
    libc.free(block)
before = resident()
return_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this allocator")
def test_what_was_freed_between_used_blocks_is_given_back() -> None:
    found = subprocess.run(
        [sys.executable, "-c", HOLES], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(found.stdout) > 40_000_000
