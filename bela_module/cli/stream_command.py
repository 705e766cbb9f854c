"""``dp-bela stream``, the default: its own options, streams at once, exit status.

``dp-bela --simulate`` needs no board. PCOMMs are served as by ``python -m api.server``. It ends on
Ctrl-C, on ``CLOSE``, or after ``--duration`` seconds with a summary.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bela_module.cli.board_options import add_board_options, settings_of, simulated_board
from bela_module.cli.screen import Screen
from bela_module.cli.time_limits import (
    JSON_LINE_S,
    REPLAY_LINGER_S,
    SCREEN_REFRESH_S,
    SESSION_CLOSE_S,
    STREAM_STOP_S,
)
from bela_module.errors import BelaError, ConfigError
from bela_module.server.process_io import end_on_signals, report_error

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from bela_module.config import Settings
    from bela_module.requests import MonitorRequest, StartRequest
    from bela_module.server.bela_server import BelaServer
    from bela_module.server.session_api import SessionApi
    from bela_module.simulator.replay.replayed_board import ReplayedBoard


def main(arguments: Sequence[str], *, overview: str = "") -> int:
    """Stream until it is ended.

    Parameters
    ----------
    arguments : sequence of str
        The options.
    overview : str
        What ``--help`` says of other commands, when none was named.

    Returns
    -------
    int
        0 when what was asked for was delivered, 1 with a line on standard error when not, 2 for
        wrong arguments.
    """
    options = _parser(overview).parse_args(arguments)
    try:
        settings, request = _settings(options), _request(options)
    except BelaError as error:
        return report_error(error, 2)
    try:
        return _run(options, settings, request)
    except BelaError as error:
        return report_error(error, 1)


def _run(options: argparse.Namespace, settings: Settings, request: StartRequest) -> int:
    from bela_module.cli.live_view import shortcoming
    from bela_module.server.composition import compose_module
    from bela_module.validation import host_in_url

    ended = threading.Event()
    with ExitStack() as stack:
        simulated = stack.enter_context(simulated_board(options))
        replay = simulated.replay if simulated is not None else None
        screen = Screen(json_lines=options.json)
        server = stack.enter_context(
            compose_module(
                settings,
                start_simulation=simulated.start if simulated is not None else None,
                follows_ticks=replay is None,
                wire_capture=options.record_wire,
                log_to_console=not screen.live,
                session_close_s=SESSION_CLOSE_S,
            )
        )
        server.init_server()
        session = server.open_session()
        # Not ended.set: a signal may arrive while this thread holds the lock of the event.
        end_on_signals(server.stop_soon)
        screen.print_line(f"PCOMMs are served at {host_in_url(server.ip)}:{server.port}")
        _listen(server, ended)
        finished: Callable[[], bool] = replay.finished.is_set if replay is not None else _never
        started = _begin(session, _replayed_request(options, replay) or request)
        with screen:
            _watch(options, session, started, ended, finished, screen)
        status = _stop(session)
        if finished():
            ended.wait(REPLAY_LINGER_S)
        screen.summary(status)
        reason = _failure(session) or _refusal(started) or shortcoming(status)
    return 0 if reason is None else report_error(reason, 1)


def _never() -> bool:
    return False


def _replayed_request(
    options: argparse.Namespace, replay: ReplayedBoard | None
) -> StartRequest | MonitorRequest | None:
    """Ask for everything that was recorded, unless the command line names variables."""
    from bela_module.requests import MonitorRequest, StartRequest

    if replay is None or options.variables is not None:
        return None
    if replay.watched:
        # Older boards have nameless variables, which no command line could ask for.
        return StartRequest.model_construct(variables=replay.watched, group=options.group)
    return MonitorRequest.model_construct(variables=replay.monitored)


def _listen(server: BelaServer, ended: threading.Event) -> None:
    """Serve PCOMMs in a thread of its own; shutting the server down ends it."""

    def listen() -> None:
        try:
            server.start_listening()
        finally:
            ended.set()

    threading.Thread(target=listen, name="pcomm-server", daemon=True).start()


def _watch(
    options: argparse.Namespace,
    session: SessionApi,
    started: Future[str],
    ended: threading.Event,
    finished: Callable[[], bool],
    screen: Screen,
) -> None:
    """Show the session until something ends it."""
    begun_s = time.monotonic()
    while not ended.wait(SCREEN_REFRESH_S):
        screen.show(session.status())
        if options.duration is not None and time.monotonic() - begun_s >= options.duration:
            return
        if _refusal(started) is not None or _failure(session) is not None:
            return
        if finished():
            return  # at once: what the board seems to do after a recording means nothing


def _begin(session: SessionApi, request: StartRequest | MonitorRequest) -> Future[str]:
    from bela_module.requests import MonitorRequest

    if isinstance(request, MonitorRequest):
        return session.monitor(request)
    return session.start(request)


def _refusal(started: Future[str]) -> str | None:
    """Say why the start was refused, if it was."""
    if not started.done() or started.cancelled() or started.exception() is None:
        return None
    return str(started.exception())


def _failure(session: SessionApi) -> str | None:
    """Say what has ended the session before its time, if anything did."""
    return None if session.failure is None else f"the session has ended: {session.failure!r}"


def _stop(session: SessionApi) -> dict[str, Any]:
    """Stop streaming and return the last STATUS."""
    try:
        session.stop().result(STREAM_STOP_S)
    except TimeoutError:
        session.note_error(f"the board did not stop in {STREAM_STOP_S} s")
    except BelaError as error:
        session.note_error(str(error))
    return session.status()


def _settings(options: argparse.Namespace) -> Settings:
    from bela_module.config import with_overrides

    return with_overrides(
        settings_of(options),
        server={"ip": options.ip, "port": options.port},
        streaming={"prompt": options.prompt},
        log={"level": options.log_level},
    )


def _request(options: argparse.Namespace) -> StartRequest:
    from bela_module.requests import StartRequest, make_request

    if options.variables is None:
        return StartRequest(group=options.group)
    names = [name.strip() for name in options.variables.split(",") if name.strip()]
    if not names:
        raise ConfigError("--variables names none; give them as a,b or leave the option out")
    return make_request(StartRequest, {"variables": names, "group": options.group})


def _parser(overview: str) -> argparse.ArgumentParser:
    about = "Publish the variables of a Bela board as LSL streams, with device-true times."
    parser = argparse.ArgumentParser(
        prog="dp-bela" if overview else "dp-bela stream",
        usage="dp-bela [COMMAND] [OPTIONS]" if overview else None,
        description=f"{about}\n\n{overview}".strip(),
        epilog="without a board: dp-bela --simulate",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_board_options(parser)
    parser.add_argument("--ip", metavar="ADDR", help="address that serves PCOMMs (127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=int, help="its port (8080); 0 takes a free one")
    parser.add_argument("--variables", metavar="a,b", help="what to stream (default: all)")
    parser.add_argument(
        "--group",
        choices=("auto", "none", "all"),
        help="which variables share streams: many, none or all (default: the config, auto)",
    )
    parser.add_argument(
        "--prompt",
        choices=("auto", "off"),
        help="whether slow variables come value by value (default: the config, auto); off beside "
        "a pybela Streamer on the same board",
    )
    parser.add_argument("--duration", metavar="S", type=_seconds, help="end after so many seconds")
    parser.add_argument(
        "--json", action="store_true", help=f"a JSON object every {JSON_LINE_S:g} s, no table"
    )
    parser.add_argument(
        "--record-wire", metavar="FILE", type=Path, help="record all traffic, for --replay"
    )
    parser.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value
