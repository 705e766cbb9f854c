"""``python -m api.server``: what the control room starts, and how it ends.

The socket is bound before anything heavy is imported: a control room tries three times to connect,
one second apart. It ends a module with SIGTERM and, one second later, SIGKILL.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from bela_module.config import Settings, load_settings, with_board_address, with_overrides
from bela_module.errors import BelaError
from bela_module.server.bela_server import BelaServer
from bela_module.server.log_forwarding import start_logging
from bela_module.server.process_io import end_on_signals, print_out, report_error
from bela_module.server.session_api import SessionApi
from bela_module.server.simulator_process import BoardProcess

_FLAGS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def main(arguments: Sequence[str]) -> int:
    """Serve until ``CLOSE``, Ctrl-C, SIGTERM or SIGHUP.

    Parameters
    ----------
    arguments : sequence of str
        ``--key=value`` as the control room passes them.

    Returns
    -------
    int
        Exit status: 0 after an orderly end, 1 when it could not serve.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = with_overrides(
            with_board_address(load_settings(options.config), options.board, os.environ),
            server={"ip": options.ip, "port": options.port},
            log={"level": options.loglevel},
        )
        _serve(settings, simulate=options.simulate)
    except BelaError as error:
        return report_error(error, 1)
    return 0


def _serve(settings: Settings, *, simulate: bool) -> None:
    with ExitStack() as stack:  # ends what it holds in the opposite order: the session first
        logs = start_logging(settings.log.level)
        stack.callback(logs.close, timeout_s=0.1)
        board = BoardProcess() if simulate else None
        if board is not None:
            stack.callback(board.end)
        server = BelaServer(settings, partial(_open_session, settings, board))
        stack.callback(server.shutdown)
        server.init_server()
        end_on_signals(server.stop_soon)
        if sys.stdout is not None:  # a service may well have none
            print_out(f"dp-bela listens on {server.ip}:{server.port}")
        server.start_listening()


def _open_session(settings: Settings, board: BoardProcess | None) -> SessionApi:
    # Imported here, when the socket is bound: numpy, pylsl and websockets take their time.
    from bela_module.session.session import Session
    from bela_module.streams.lsl_clock import local_clock
    from bela_module.streams.outlets import LslOutlets, keep_on_this_machine

    if board is not None:
        keep_on_this_machine()
        host, port = board.start()
        settings = with_overrides(settings, board={"host": host, "port": port, "name": "simulated"})
    streaming = settings.streaming
    sink = partial(LslOutlets, streaming.events_stream, streaming.max_buffered_s)
    session = Session(settings, sink=sink, now=local_clock)
    session.open()
    return session


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m api.server", description="Serve a Bela board to a Dareplane control room."
    )
    parser.add_argument("--ip", help="address to listen at (default: the configuration's)")
    parser.add_argument("--port", help="port to listen at; 0 takes a free one")
    parser.add_argument("--config", help="TOML file (default: configs/bela.toml)")
    parser.add_argument("--board", metavar="HOST[:PORT]", help="where the board is")
    parser.add_argument(
        "--simulate", type=_flag, nargs="?", const=True, default=False, metavar="0|1",
        help="use a simulated board, and keep LSL on this machine",
    )  # fmt: skip
    parser.add_argument("--loglevel", help="10 to 50, or DEBUG to CRITICAL")
    return parser


def _flag(text: str) -> bool:
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} must be 0 or 1") from None
