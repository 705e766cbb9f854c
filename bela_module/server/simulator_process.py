"""A simulated board in a process of its own: starts it, reads its address, ends it.

The server does not contain the simulator: it starts ``python -m bela_module.simulator`` and
connects to its address as to any board's.
"""

from __future__ import annotations

import logging
import queue
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bela_module.errors import ConnectError
from bela_module.server.time_limits import SIMULATOR_ANSWER_S, SIMULATOR_START_S

_ADDRESS: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+|localhost):(\d+)")
# It ends with its standard input, and so with this process even when that is killed.
_COMMAND: Final = (
    sys.executable, "-u", "-m", "bela_module.simulator", "--port", "0", "--until-stdin-ends",
)  # fmt: skip


def own_group(platform: str) -> dict[str, Any]:
    """Return the options that keep Ctrl-C from a process: its session has to clean it up first."""
    if platform == "win32":
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200)}
    return {"start_new_session": True}


class SimulatorProcess:
    """A simulated board, started on demand by a command that prints its address, ``HOST:PORT``."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._answered = threading.Event()
        self._logger = logging.getLogger("bela_module.server.simulator_process")

    def start(self, timeout_s: float = SIMULATOR_START_S) -> tuple[str, int]:
        """Start the process and return the host and port that it prints.

        Raises
        ------
        ConnectError
            It ended, or printed no address in time.
        """
        process = subprocess.Popen(
            self._command,
            cwd=Path(__file__)
            .resolve()
            .parents[2],  # the folder of bela_module: "-m" finds it there
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            **own_group(sys.platform),
        )
        self._process = process
        addresses: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(
            target=self._read, args=(process, addresses), name="simulated board", daemon=True
        )
        self._reader.start()
        try:
            address = addresses.get(timeout=timeout_s)
        except queue.Empty:
            address = None
        if address is None:
            self.end()
            raise ConnectError("the simulated board", "it printed no address")
        return address

    def answers(self, timeout_s: float = SIMULATOR_ANSWER_S) -> bool:
        """Ask the process, if there is one, for a line; False: it hangs.

        Parameters
        ----------
        timeout_s : float
            How long to wait for it.
        """
        process = self._process
        if process is None or process.stdin is None or process.poll() is not None:
            return True
        self._answered.clear()
        with suppress(OSError, ValueError):
            process.stdin.write("\n")
            process.stdin.flush()
        return self._answered.wait(timeout_s)

    def end(self) -> None:
        """End the process; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        # Killed at once: it has nothing to clean up, and might hang.
        process.kill()
        process.wait()
        if self._reader is not None:
            self._reader.join()

    def _read(
        self,
        process: subprocess.Popen[str],
        addresses: queue.SimpleQueue[tuple[str, int] | None],
    ) -> None:
        """Find the address in the output of the process, and keep its pipe from filling up."""
        with process:
            for line in process.stdout or ():
                self._logger.debug("simulated board: %s", line.rstrip())
                found = _ADDRESS.search(line)
                if found is not None:
                    addresses.put((found[1], int(found[2])))
                else:
                    self._answered.set()
        addresses.put(None)
