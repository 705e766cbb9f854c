"""A simulated board in a process of its own, for trying the module without hardware.

The server must not contain the simulator: it starts ``python -m bela_module.simulator`` and from
then on talks to that address as to any board's.
"""

from __future__ import annotations

import logging
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from bela_module.errors import ConnectError

_ADDRESS: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+|localhost):(\d+)")
# It ends with its standard input, and so with this process even when that is killed.
_COMMAND: Final = (
    sys.executable, "-u", "-m", "bela_module.simulator", "--port", "0", "--until-stdin-ends",
)  # fmt: skip


class SimulatorProcess:
    """A simulated board, started on demand.

    Parameters
    ----------
    command : sequence of str
        What to start; it must print its address, ``HOST:PORT``.
    """

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._logger = logging.getLogger("bela_module.server.simulator_process")

    def start(self, timeout_s: float = 5.0) -> tuple[str, int]:
        """Start the process and wait until it says where it listens.

        Parameters
        ----------
        timeout_s : float
            How long that may take.

        Returns
        -------
        host, port : str, int
            Where the simulated board listens.

        Raises
        ------
        ConnectError
            It ended, or said nothing in time.
        """
        process = subprocess.Popen(
            self._command,
            cwd=Path(__file__).resolve().parents[2],  # where bela_module is, in a checkout
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C must not reach it before the session has cleaned it up.
            start_new_session=True,
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
            raise ConnectError("the simulated board", "it did not say where it listens")
        return address

    def end(self) -> None:
        """End the process; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        # Not more gently: it has nothing to tidy up, and when it hangs there is no time to wait.
        process.kill()
        process.wait()
        if self._reader is not None:
            self._reader.join()

    def _read(
        self,
        process: subprocess.Popen[str],
        addresses: queue.SimpleQueue[tuple[str, int] | None],
    ) -> None:
        """Find the address in what the process says, and keep its pipe from filling up."""
        with process:
            for line in process.stdout or ():
                self._logger.debug("simulated board: %s", line.rstrip())
                found = _ADDRESS.search(line)
                if found is not None:
                    addresses.put((found[1], int(found[2])))
        addresses.put(None)
