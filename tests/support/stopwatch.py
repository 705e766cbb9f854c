"""How long something takes by itself: without the time for which it waited for a processor.

On a busy computer a thread that could go on waits until another program is through. Linux counts
these waits for each thread; what a test measures is compared with its limit without the longest
wait of one thread in each process: waits of several may be at the same time. Where the system does
not count them, all the time counts.
"""

from __future__ import annotations

import os
import subprocess
import time

LOOK_S = 0.01


def waits_s(pid: int) -> dict[str, float]:
    """Tell how long each thread of a process was ready to run and did not.

    Parameters
    ----------
    pid : int
        Which process.

    Returns
    -------
    dict of str to float
        Empty where the system does not count it, or the process has ended.
    """
    found: dict[str, float] = {}
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            # Not with open(), which tests of a disk that hangs replace.
            descriptor = os.open(f"/proc/{pid}/task/{thread}/schedstat", os.O_RDONLY)
        except OSError:
            continue
        try:
            found[thread] = int(os.read(descriptor, 100).split()[1]) / 1e9
        except (OSError, IndexError):  # it has ended
            continue
        finally:
            os.close(descriptor)
    return found


class Stopwatch:
    """Runs from the moment on at which it is made.

    Parameters
    ----------
    *pids : int
        Processes whose waits do not count either, beside those of this one.
    """

    def __init__(self, *pids: int) -> None:
        self._pids: tuple[int, ...] = (os.getpid(), *pids)
        self._before_s = self._look()
        self._latest_s = dict(self._before_s)
        self._began_s = time.monotonic()

    def follow(self, pid: int) -> None:
        """Leave out the waits of a process, too, which has begun since."""
        self._pids += (pid,)

    def look(self) -> None:
        """Take note of the waits so far, before a thread or a process ends."""
        self._latest_s |= self._look()

    @property
    def passed_s(self) -> float:
        """The time since the beginning, without waits for a processor."""
        passed_s = time.monotonic() - self._began_s
        self.look()
        longest_s: dict[str, float] = {}
        for key, latest_s in self._latest_s.items():
            pid = key.partition("/")[0]
            waited_s = latest_s - self._before_s.get(key, 0.0)
            longest_s[pid] = max(waited_s, longest_s.get(pid, 0.0))
        return passed_s - sum(longest_s.values())

    def wait_for(self, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> float:
        """Wait for the end of a process; tell how long it took since the beginning."""
        deadline_s = time.monotonic() + 60.0
        while process.poll() is None and time.monotonic() < deadline_s:
            self.look()
            time.sleep(LOOK_S)
        process.wait(0.0)
        return self.passed_s

    def _look(self) -> dict[str, float]:
        return {
            f"{pid}/{thread}": waited_s
            for pid in self._pids
            for thread, waited_s in waits_s(pid).items()
        }
