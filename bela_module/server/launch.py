"""Start and options (``--ip``, ``--board``, ...) of ``dp-bela serve`` and ``python -m api.server``.

The socket is bound before anything heavy is imported: a control room tries three times to connect,
one second apart. It ends a module with SIGTERM and, one second later, SIGKILL.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from bela_module.config import Settings, load_settings, with_board_address, with_overrides
from bela_module.errors import BelaError
from bela_module.server.bela_server import BelaServer
from bela_module.server.composition import compose_module
from bela_module.server.output.background_writer import BackgroundStream, background_stdout
from bela_module.server.pcomms import pcomm_help
from bela_module.server.process_io import end_on_signals, print_to, report_error
from bela_module.server.simulator_process import SimulatorProcess
from bela_module.server.time_limits import HANGING_BOARD_CLOSE_S
from bela_module.validation import host_in_url

_FLAGS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def main(arguments: Sequence[str], program: str = "python -m api.server") -> int:
    """Serve PCOMMs until ``CLOSE``, Ctrl-C, SIGTERM or SIGHUP.

    Parameters
    ----------
    arguments : sequence of str
        ``--key=value`` as the control room passes them.
    program : str
        What ``--help`` calls the program.

    Returns
    -------
    int
        Exit status: 0 after an orderly end, 1 when it could not serve.
    """
    options = _parser(program).parse_args(arguments)
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
    simulator = SimulatorProcess()
    with ExitStack() as stack:  # ends what it holds in the opposite order: the session first
        stack.callback(simulator.end)
        start_simulation = simulator.start if simulate else None
        server = stack.enter_context(compose_module(settings, start_simulation=start_simulation))
        server.init_server()
        end_on_signals(server.stop_soon)
        _tell_address(server)
        server.start_listening()
        if not simulator.answers():
            server.logger.warning("the simulated board hangs")
            server.session_close_s = HANGING_BOARD_CLOSE_S


def _tell_address(server: BelaServer) -> None:
    """Print where the server listens; a service may have no output, or one that takes nothing.

    Only when the program that started it has gone meanwhile does it end, with a `BelaError`.
    """
    output = background_stdout()
    if output is None:
        return
    try:
        print_to(output, f"dp-bela listens on {host_in_url(server.ip)}:{server.port}")
    except BelaError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            raise
        server.logger.warning("%s", error)
    if isinstance(output, BackgroundStream):
        output.finish(timeout_s=0.0)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Serve a Bela board to a Dareplane control room, or to any TCP client.",
        epilog=pcomm_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
