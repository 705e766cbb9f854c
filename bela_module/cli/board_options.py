"""Options of ``stream`` and ``list`` for board and settings; ``serve``: ``server/launch.py``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from bela_module.config import Settings
    from bela_module.simulator.replay.replayed_board import ReplayedBoard

NETWORK_NAMES: Final = ("usb", "wifi", "loaded")  # of the simulator, not imported for --help


@dataclass(frozen=True, slots=True)
class SimulatedAddress:
    """Where a simulated board listens in this process."""

    host: str
    port: int
    replay: ReplayedBoard | None
    """The board, when it plays a capture."""

    def start(self) -> tuple[str, int]:
        """Return the address; the board runs already."""
        return self.host, self.port


def add_board_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a board and the settings."""
    board = parser.add_mutually_exclusive_group()
    board.add_argument("--simulate", action="store_true", help="use a simulated board")
    board.add_argument(
        "--replay", metavar="CAPTURE", type=Path, help="use a board that plays recorded traffic"
    )
    board.add_argument(
        "--board",
        metavar="HOST[:PORT]",
        help="where the board is (else BELA_HOST / BELA_PORT, the config, bela.local:5555)",
    )
    parser.add_argument(
        "--network",
        choices=NETWORK_NAMES,
        help="delays of the simulated board: over USB, over Wi-Fi, or of a loaded one",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings, a TOML file")


def settings_of(options: argparse.Namespace) -> Settings:
    """Load the settings that the options choose; raises `ConfigError` for wrong ones."""
    from bela_module.config import load_settings, with_board_address

    return with_board_address(load_settings(options.config), options.board, os.environ)


@contextmanager
def simulated_board(options: argparse.Namespace) -> Iterator[SimulatedAddress | None]:
    """Run the simulated board that the options ask for, on a free loopback port; None: a real one.

    Raises `CaptureError` when the capture to replay cannot be read, `RequestError` for a network
    without a simulated board.
    """
    if options.network and not options.simulate:
        from bela_module.errors import RequestError

        raise RequestError("--network delays a simulated board: add --simulate, or leave it away")
    if options.replay:
        from bela_module.simulator.replay.replayed_board import ReplayedBoard

        with ReplayedBoard(options.replay) as replayed:
            yield SimulatedAddress("127.0.0.1", replayed.port, replayed)
    elif options.simulate:
        from bela_module.simulator.network.delays import NETWORKS, NO_DELAY
        from bela_module.simulator.simulated_board import SimulatedBoard

        network = NETWORKS[options.network] if options.network else NO_DELAY
        with SimulatedBoard(network=network) as simulated:
            yield SimulatedAddress("127.0.0.1", simulated.port, None)
    else:
        yield None
