"""dp-bela for people: connects to a board, streams at once, shows what goes on.

``python main.py --simulate`` needs no board. It serves the PCOMMs like ``python -m api.server``,
and ends on Ctrl-C, on ``CLOSE``, or after ``--duration`` seconds with a summary.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bela_module.errors import BelaError, ConfigError
from bela_module.server.process_io import (
    end_on_signals,
    guarded_output,
    print_err,
    print_out,
    report_error,
)

# All else is imported where it is used: --help answers at once.
if TYPE_CHECKING:
    from rich.console import Console

    from bela_module.config import Settings
    from bela_module.requests import MonitorRequest, StartRequest
    from bela_module.session.session import Session

_STOP_TIMEOUT_S = 5.0
_REFRESH_S = 0.25
_ON_THE_WAY_S = 2.0  # for listeners of a short replay to receive its first samples
_SIMULATED_NAME = "simulated"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until it is ended.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name.

    Returns
    -------
    int
        0 when what was asked for was delivered, 1 with a line on stderr when not, 2 for wrong
        arguments.
    """
    options = _parser().parse_args(arguments)
    try:
        settings, request = _settings(options), _request(options)
    except BelaError as error:
        return report_error(error, 2)
    try:
        return _run(options, settings, request)
    except BelaError as error:
        return report_error(error, 1)


def _run(
    options: argparse.Namespace, settings: Settings, request: StartRequest | MonitorRequest
) -> int:
    from bela_module.cli.live_view import shortcoming
    from bela_module.connection.wire_recorder import WireTap
    from bela_module.server.log_forwarding import start_logging
    from bela_module.session.session import Session
    from bela_module.streams.lsl_clock import local_clock
    from bela_module.streams.outlets import LslOutlets, keep_on_this_machine

    ended = threading.Event()
    with ExitStack() as stack:
        finished: Callable[[], bool] = lambda: False  # noqa: E731
        if options.simulate or options.replay:
            keep_on_this_machine()
            settings, finished, request = _simulated(options, settings, request, stack)
        screen = _Screen(json_lines=options.json)
        logs = start_logging(settings.log.level, console=not screen.live)
        stack.callback(logs.close)
        recorder = WireTap(options.record_wire, local_clock) if options.record_wire else None
        if recorder is not None:
            stack.callback(recorder.close)
        streaming = settings.streaming
        sink = partial(LslOutlets, streaming.events_stream, streaming.max_buffered_s)
        session = Session(
            settings,
            sink=sink,
            now=local_clock,
            recorder=recorder,
            obeys_ticks=options.replay is None,
        )
        stack.enter_context(session)
        _serve(settings, session, ended, stack, screen)
        started = _begin(session, request)
        with screen:
            _watch(options, session, started, ended, finished, screen)
        status = _stop(session)
        if finished():
            ended.wait(_ON_THE_WAY_S)
        screen.summary(status)
        reason = _failure(session) or _refusal(started) or shortcoming(status)
    return 0 if reason is None else report_error(reason, 1)


def _simulated(
    options: argparse.Namespace,
    settings: Settings,
    request: StartRequest | MonitorRequest,
    stack: ExitStack,
) -> tuple[Settings, Callable[[], bool], StartRequest | MonitorRequest]:
    """Start a board on a free loopback port; tell where it is, when it has said all, and what."""
    from bela_module.config import with_overrides
    from bela_module.requests import MonitorRequest, StartRequest

    if options.replay:
        from bela_module.simulator.replay import ReplayedBoard

        replayed = stack.enter_context(ReplayedBoard(options.replay))
        port, finished = replayed.port, replayed.finished.is_set
        if options.variables is None:
            if replayed.watched:
                # Older boards have nameless variables, which no command line could ask for.
                request = StartRequest.model_construct(variables=replayed.watched)
            else:
                request = MonitorRequest.model_construct(variables=replayed.monitored)
    else:
        from bela_module.simulator.simulated_board import SimulatedBoard

        port, finished = stack.enter_context(SimulatedBoard()).port, lambda: False
    changes = {"host": "127.0.0.1", "port": port, "name": _SIMULATED_NAME}
    return with_overrides(settings, board=changes), finished, request


def _serve(
    settings: Settings,
    session: Session,
    ended: threading.Event,
    stack: ExitStack,
    screen: _Screen,
) -> None:
    from bela_module.server.bela_server import BelaServer

    server = BelaServer(settings, lambda: session)
    stack.callback(server.shutdown)
    server.init_server()
    # Not ended.set: a signal may arrive while this thread holds the lock of the event.
    end_on_signals(server.stop_soon)
    screen.say(f"PCOMMs are served at {server.ip}:{server.port}")

    def listen() -> None:
        try:
            server.start_listening()
        finally:
            ended.set()

    thread = threading.Thread(target=listen, name="pcomm-server", daemon=True)
    thread.start()
    stack.callback(thread.join, _STOP_TIMEOUT_S)
    stack.callback(server.stop_soon)


def _watch(
    options: argparse.Namespace,
    session: Session,
    started: Future[str],
    ended: threading.Event,
    finished: Callable[[], bool],
    screen: _Screen,
) -> None:
    """Show the session until something ends it."""
    begun_s = time.monotonic()
    while not ended.wait(_REFRESH_S):
        screen.show(session.status())
        if options.duration is not None and time.monotonic() - begun_s >= options.duration:
            return
        if _refusal(started) is not None or _failure(session) is not None:
            return
        if finished():
            return  # at once: what the board seems to do after a recording means nothing


def _begin(session: Session, request: StartRequest | MonitorRequest) -> Future[str]:
    from bela_module.requests import MonitorRequest

    if isinstance(request, MonitorRequest):
        return session.monitor(request)
    return session.start(request)


def _refusal(started: Future[str]) -> str | None:
    """Say why the start was refused, if it was."""
    if not started.done() or started.cancelled() or started.exception() is None:
        return None
    return str(started.exception())


def _failure(session: Session) -> str | None:
    """Say what has ended the session before its time, if anything did."""
    return None if session.failure is None else f"the session has ended: {session.failure!r}"


def _stop(session: Session) -> dict[str, Any]:
    """Stop streaming and return the last STATUS."""
    try:
        session.stop().result(_STOP_TIMEOUT_S)
    except TimeoutError:
        session.note_error(f"the board did not stop in {_STOP_TIMEOUT_S} s")
    except BelaError as error:
        session.note_error(str(error))
    return session.status()


class _Screen(AbstractContextManager["_Screen"]):
    """What the user sees: a live table, JSON lines, or plain lines where there is no terminal."""

    def __init__(self, *, json_lines: bool) -> None:
        self._json_lines = json_lines
        self._console = None if json_lines else _console()
        self.live = self._console is not None and self._console.is_terminal
        self._live: Any = nullcontext()
        self._next_line_s = 0.0

    def __enter__(self) -> _Screen:
        if self.live:
            from rich.live import Live

            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        with guarded_output():
            self._live.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with guarded_output():
            self._live.__exit__(None, None, None)

    def say(self, line: str) -> None:
        if self._console is None:
            print_err(line)
        else:
            with guarded_output():
                self._console.print(line)

    def show(self, status: dict[str, Any]) -> None:
        if self.live:
            from bela_module.cli.live_view import render

            with guarded_output():
                self._live.update(render(status), refresh=True)
        elif self._json_lines and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + 1.0 - _REFRESH_S / 2
            print_out(json.dumps(status))

    def summary(self, status: dict[str, Any]) -> None:
        from bela_module.cli.live_view import render, totals

        if self._console is not None:
            with guarded_output():
                self._console.print(render(status))
            return
        samples, lost = totals(status)
        summary = {**status, "samples": samples, "lost": lost, "final": True}
        print_out(json.dumps(summary))


def _console() -> Console:
    from rich.console import Console

    return Console()


def _settings(options: argparse.Namespace) -> Settings:
    from bela_module.config import load_settings, with_board_address, with_overrides

    settings = load_settings(options.config)
    settings = with_overrides(
        settings,
        server={"ip": options.ip, "port": options.port},
        log={"level": options.log_level},
    )
    return with_board_address(settings, options.board, os.environ)


def _request(options: argparse.Namespace) -> StartRequest:
    from bela_module.requests import StartRequest, make_request

    if options.variables is None:
        return StartRequest()
    names = [name.strip() for name in options.variables.split(",") if name.strip()]
    if not names:
        raise ConfigError("--variables names none; give them as a,b or leave the option out")
    return make_request(StartRequest, {"variables": names})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="main.py",
        description="Publish the variables of a Bela board as LSL streams, with device-true times.",
        epilog="Without a board: python main.py --simulate",
    )
    board = parser.add_mutually_exclusive_group()
    board.add_argument("--simulate", action="store_true", help="stream from a simulated board")
    board.add_argument("--replay", metavar="CAPTURE", type=Path, help="stream recorded traffic")
    board.add_argument(
        "--board",
        metavar="HOST[:PORT]",
        help="where the board is (else BELA_HOST / BELA_PORT, the config, bela.local:5555)",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings, a TOML file")
    parser.add_argument("--ip", metavar="ADDR", help="address that serves PCOMMs (127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=int, help="its port (8080); 0 takes a free one")
    parser.add_argument("--variables", metavar="a,b", help="what to stream (default: all)")
    parser.add_argument("--duration", metavar="S", type=_seconds, help="end after so many seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object a second, no table")
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
