"""Inlets that fetch all that some streams publish: a process of its own, as a recorder is.

``python benchmarks/inlets.py --names bela_v0,bela_v1 --seconds 20`` finds the streams, opens an
inlet with a thread for each, fetches for a while, and prints a line of JSON: since when all were
open, the samples of each stream, and when the last value of each block of ``block_sender.py`` came.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pylsl

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.block_sender import SERIAL_BASE  # noqa: E402

_FIND_S = 20.0
_SEARCH_S = 2.0
_PULL_S = 0.5
_MAX_SAMPLES = 2**15


class Fetching:
    """Fetches from one stream until it is told to end."""

    def __init__(self, info: pylsl.StreamInfo) -> None:
        self._inlet = pylsl.StreamInlet(info, recover=False)
        self._inlet.open_stream(_FIND_S)
        self.n_samples = 0
        self.arrivals: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            samples, stamps_s = self._inlet.pull_chunk(
                _PULL_S, _MAX_SAMPLES, min_samples=1, as_numpy=True
            )
            now_s = pylsl.local_clock()
            self.n_samples += len(stamps_s)
            if len(stamps_s):
                first = samples[:, 0]
                serials = first[first >= SERIAL_BASE].astype(np.int64) - SERIAL_BASE
                self.arrivals += [(int(serial), now_s) for serial in serials]

    def end(self) -> None:
        """End the thread and the inlet."""
        self._stop.set()
        self._thread.join()
        self._inlet.close_stream()


def find(names: Sequence[str]) -> list[pylsl.StreamInfo]:
    """Find streams, all at once, and give them in the order of their names."""
    predicate = " or ".join(f"name='{name}'" for name in names)
    found: dict[str, pylsl.StreamInfo] = {}
    until_s = time.monotonic() + _FIND_S
    while missing := [name for name in names if name not in found]:
        if time.monotonic() > until_s:
            raise RuntimeError(f"not on the network: {', '.join(missing)}")
        for info in pylsl.resolve_bypred(predicate, len(names), _SEARCH_S):
            found[info.name()] = info
    return [found[name] for name in names]


def main() -> None:
    """Fetch as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--names", required=True, help="streams, with commas")
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    infos = find(options.names.split(","))
    all_fetching = [Fetching(info) for info in infos]
    open_s = pylsl.local_clock()
    time.sleep(options.seconds)
    for fetching in all_fetching:
        fetching.end()
    result = {
        "open_s": open_s,
        "samples": [fetching.n_samples for fetching in all_fetching],
        "arrivals": [fetching.arrivals for fetching in all_fetching],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
