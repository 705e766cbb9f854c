"""Composition root: builds log, sink, session and PCOMM server from the settings.

The commands ``stream`` and ``serve`` (which is ``python -m api.server``) both run what is built
here. numpy, pylsl and websockets are imported when the session is opened, which the server does
after it has begun to listen: a control room tries three times to connect, one second apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from bela_module.config import Settings, with_overrides
from bela_module.errors import LibraryError
from bela_module.server.bela_server import BelaServer
from bela_module.server.log_forwarding import LogPipes, start_logging
from bela_module.server.process_limits import limit_pauses, raise_descriptor_limit
from bela_module.server.session_api import SessionApi
from bela_module.server.time_limits import FAILURE_LOG_FLUSH_S, LOG_FLUSH_S, SESSION_CLOSE_S

StartSimulation = Callable[[], tuple[str, int]]
"""Starts a simulated board, unless it runs already, and returns its host and port."""

_SIMULATED_NAME: Final = "simulated"


@contextmanager
def compose_module(
    settings: Settings,
    *,
    start_simulation: StartSimulation | None = None,
    follows_ticks: bool = True,
    wire_capture: Path | None = None,
    log_to_console: bool = True,
    session_close_s: float = SESSION_CLOSE_S,
) -> Iterator[BelaServer]:
    """Build the module: a server that has yet to listen, and opens its session when it does.

    At the end of the context the session leaves the board as it was found, then what it used is
    closed, the log last.

    Parameters
    ----------
    settings : Settings
        All settings of the module.
    start_simulation : callable, optional
        Use this simulated board instead of the configured one, and keep LSL on this computer.
    follows_ticks : bool
        Whether the board begins and ends streams at the ticks it is told; a replayed one does not.
    wire_capture : Path, optional
        File to record all traffic with the board to.
    log_to_console : bool
        Whether the log is shown on standard error, too.
    session_close_s : float
        How long the session may take to leave the board clean.
    """
    with ExitStack() as resources:
        logs = start_logging(
            settings.log.level,
            console=log_to_console,
            host=settings.log.host,
            port=settings.log.port,
        )
        resources.push(partial(_close_logs, logs))
        open_session = partial(
            _open_session,
            settings,
            resources.enter_context(ExitStack()),
            start_simulation,
            follows_ticks,
            wire_capture,
        )
        server = BelaServer(settings, open_session, session_close_s=session_close_s)
        resources.callback(server.shutdown)
        yield server


def _close_logs(logs: LogPipes, failure: type[BaseException] | None, *_details: object) -> None:
    logs.close(LOG_FLUSH_S if failure is None else FAILURE_LOG_FLUSH_S)


def _open_session(
    settings: Settings,
    resources: ExitStack,
    start_simulation: StartSimulation | None,
    follows_ticks: bool,
    wire_capture: Path | None,
) -> SessionApi:
    """Open the session; what it uses is closed with `resources`."""
    try:
        from bela_module.connection.wire_recorder import WireTap
        from bela_module.session.session import Session
        from bela_module.streams.lsl.lsl_settings import prepare_lsl
        from bela_module.streams.lsl.outlets import LslOutlets
        from bela_module.streams.lsl_clock import local_clock
    except (ImportError, OSError, RuntimeError) as error:  # pylsl raises any of them
        raise LibraryError(f"{error}") from error

    raise_descriptor_limit()
    prepare_lsl(this_machine_only=start_simulation is not None)
    if start_simulation is not None:
        host, port = start_simulation()
        address = {"host": host, "port": port, "name": _SIMULATED_NAME}
        settings = with_overrides(settings, board=address)
    recorder = None
    if wire_capture is not None:
        recorder = WireTap(wire_capture, local_clock)
        resources.callback(recorder.close)
    streaming = settings.streaming
    session = Session(
        settings,
        sink=partial(LslOutlets, streaming.events_stream, streaming.max_buffered_s),
        now=local_clock,
        recorder=recorder,
        obeys_ticks=follows_ticks,
    )
    session.open()
    resources.enter_context(limit_pauses())
    return session
