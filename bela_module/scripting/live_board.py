"""Base class of Streamer, Monitor and Controller: constructor options, board, variables.

Each has a session of its own, and with it a connection: several of them may be used at a time,
of one board or of many, from any thread, in a script or in a notebook.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Annotated, Any, ClassVar, Final, Self, TypedDict, TypeVar

from pydantic import BeforeValidator

from bela_module.config import Settings, parse_settings, with_board_address
from bela_module.errors import ArgumentError, NoReplyError, NotConnectedError
from bela_module.interruptible import result_of, sleep
from bela_module.protocol.variables import Variable
from bela_module.requests import Request
from bela_module.scripting.arguments import check_arguments
from bela_module.scripting.pybela_methods import (
    BoardChannel,
    LoopMethods,
    SizeMethods,
    SshMethods,
    commands_of,
)
from bela_module.scripting.streaming_run import RunSink
from bela_module.scripting.time_limits import SESSION_REPLY_S
from bela_module.session.jobs.listing import BoardView
from bela_module.session.session import Session
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.stream_plans import choose_variables
from bela_module.validation import LONGEST_WAIT_S, Wait, as_list, shown

logger = logging.getLogger(__name__)

DATA_PATH: Final = "gui_data"
CONTROL_PATH: Final = "gui_control"

T = TypeVar("T")


class WatcherVariable(TypedDict):
    """A variable of the sketch.

    ``timestampMode`` (0 dense, 1 sparse), ``logFileName`` and ``valueInput`` are the board's own
    words, as in its reply to ``list``.

    Attributes
    ----------
    name : str
        Its name.
    type : str
        C++ type: "c" char, "j" unsigned int, "i" int, "f" float, "d" double.
    timestamp_mode : str
        "dense": one tick for each block; "sparse": one for each value.
    data_length : int
        Values in a full block.
    monitor : int
        Period in ticks at which it is monitored; 0: it is not.
    watched, controlled, logged : bool
        Whether it is streamed, set by a client, written into a file on the board.
    value : float
        What the sketch reads: the controlled value while it is controlled.
    valueInput : float
        What the sketch assigned last.
    logFileName : str
        File on the board that it was last logged to.
    """

    name: str
    type: str
    timestamp_mode: str
    data_length: int
    monitor: int
    watched: bool
    controlled: bool
    logged: bool
    value: float
    timestampMode: int
    logFileName: str
    valueInput: float


class _Selection(Request):
    """Names of variables; none means all."""

    variables: Annotated[tuple[str, ...], BeforeValidator(as_list)]


class _Pause(Request):
    """Argument of ``LiveBoard.wait``."""

    time_in_seconds: Wait


class LiveBoard(SizeMethods, SshMethods, LoopMethods):
    """A connection to a board, and its variables: what Streamer, Monitor and Controller share."""

    _exclusive: ClassVar[bool] = False

    def __init__(
        self,
        ip: str | None = None,
        port: int | None = None,
        data_add: str = DATA_PATH,
        control_add: str = CONTROL_PATH,
    ) -> None:
        """Take a board's address; :meth:`connect` connects to it.

        Parameters
        ----------
        ip : str, optional
            Host name or address of the board; by default that of the environment variable
            ``BELA_HOST``, else ``bela.local``.
        port : int, optional
            Port of its websockets; by default ``BELA_PORT``, else 5555.
        data_add, control_add : str
            Names of its two channels, which are the same on every board.

        Raises
        ------
        ConfigError
            When the address is none.
        ArgumentError
            When the channels have other names.
        """
        if (data_add, control_add) != (DATA_PATH, CONTROL_PATH):
            raise ArgumentError(
                f"channels {data_add!r} and {control_add!r}: a board has only "
                f"{DATA_PATH!r} and {CONTROL_PATH!r}"
            )
        self.settings = _settings(ip, port)
        self.ip = self.settings.board.host
        self.port = self.settings.board.port
        self._sink = RunSink()
        self._session: Session | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._view: BoardView | None = None
        self._connecting = threading.RLock()
        self._prepare_runs()

    def _prepare_runs(self) -> None:
        """Make what a subclass needs for its runs."""

    # ---- the connection --------------------------------------------------------------------

    def connect(self) -> bool:
        """Connect to the board; a lost connection is made again when it is needed.

        Returns
        -------
        bool
            True; what goes wrong is an exception.

        Raises
        ------
        BoardError
            When the board cannot be reached, or does not answer.
        """
        with self._connecting:
            if self._is_open:
                self._look()  # a lost connection is made again for it, and what streams goes on
            else:
                self._open()
        return True

    def disconnect(self) -> None:
        """End what runs, leave the board as it was found, and close the connection."""
        self._leave()

    def cleanup(self) -> None:
        """Do :meth:`disconnect`."""
        self.disconnect()

    def is_connected(self) -> bool:
        """Tell whether the board is connected at this moment."""
        if self._session is None or not self._is_open:
            return False
        connected: bool = self._session.status()["board"]["connected"]
        return connected

    @property
    def ws_ctrl(self) -> BoardChannel:
        """The connection, for scripts that look at its state; so is ``ws_data``."""
        return BoardChannel(self.is_connected, self.disconnect)

    ws_data = ws_ctrl

    def __enter__(self) -> Self:
        """Connect."""
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect, without waiting for callbacks when an error is the reason."""
        self._leave(hurried=error is not None)

    def wait(self, time_in_seconds: float = 0) -> None:
        """Let time pass; what streams goes on.

        Parameters
        ----------
        time_in_seconds : float
            How long; 0 or infinity: until Ctrl-C.

        Raises
        ------
        ArgumentError
            When it is no such number.
        """
        pause = check_arguments(_Pause, time_in_seconds=time_in_seconds)
        sleep(min(pause.time_in_seconds or LONGEST_WAIT_S, LONGEST_WAIT_S))

    # ---- what the board says ---------------------------------------------------------------

    def list(self) -> dict[str, Any]:
        """Ask the board for its variables.

        Returns
        -------
        dict
            ``watchers``: a :class:`WatcherVariable` for each; ``sampleRate``: the rate that the
            sketch declares; ``timestamp``: the last tick; ``projectName``: what runs.
        """
        view = self._look()
        return {
            "watchers": [_describe(variable) for variable in view.variables],
            "sampleRate": _whole(view.declared_rate_hz),
            "timestamp": view.tick,
            "projectName": view.project,
        }

    @property
    def watcher_vars(self) -> Sequence[WatcherVariable]:
        """The board's variables."""
        return self._variables(lambda _variable: True)

    @property
    def watched_vars(self) -> Sequence[WatcherVariable]:
        """The variables that the board streams now, asked for by any client."""
        return self._variables(lambda variable: variable.watched)

    @property
    def unwatched_vars(self) -> Sequence[WatcherVariable]:
        """The variables that the board does not stream now."""
        return self._variables(lambda variable: not variable.watched)

    @property
    def monitored_vars(self) -> Sequence[WatcherVariable]:
        """The variables that the board monitors now, asked for by any client."""
        return self._variables(lambda variable: variable.monitor_period_ticks > 0)

    @property
    def project_name(self) -> str:
        """Name of the project that runs on the board."""
        return (self._view or self._look()).project

    @property
    def sample_rate(self) -> float:
        """The rate that the sketch declares, in Hz.

        Ticks may run at another rate, half of it for instance: see :attr:`tick_rate`.
        """
        return _whole((self._view or self._look()).declared_rate_hz)

    @property
    def tick_rate(self) -> float:
        """The measured rate of the board's ticks, in Hz; NaN when it is not known yet."""
        return self._look().tick_rate_hz

    def get_latest_timestamp(self) -> int:
        """Ask the board for its last tick."""
        return self._look().tick

    def get_prop_of_var(self, var_name: str, prop: str) -> Any:
        """Return one property of a variable, such as its ``type``.

        Raises
        ------
        UnknownVariableError, ArgumentError
            When there is no such variable or property.
        """
        (variable,) = self._choose([var_name])
        properties: dict[str, Any] = {**_describe(variable)}
        if not isinstance(prop, str) or prop not in properties:
            raise ArgumentError(f"no property {shown(prop)}; there are {', '.join(properties)}")
        return properties[prop]

    def send_ctrl_msg(self, msg: dict[str, Any]) -> None:
        """Send commands to the board's Watcher as they are; replies are not returned.

        What this object streams, monitors or controls itself is better left to its methods: what
        the board does otherwise, on a command of anybody's, is noticed and told.

        Parameters
        ----------
        msg : dict
            Such as ``{"watcher": [{"cmd": "list"}]}``.

        Raises
        ------
        ArgumentError
            When it is no such message.
        """
        self._result(self._open_session().send_commands(commands_of(msg)), "control message")

    @property
    def status(self) -> dict[str, Any]:
        """The session's STATUS: state, clock, streams, counters, last error."""
        return (self._session or self._open_session()).status()

    @property
    def last_error(self) -> str | None:
        """The latest error of the board, a file or a callback; None when there was none."""
        error: str | None = self.status["last_error"] if self._session is not None else None
        return error

    # ---- for the classes that build on this one --------------------------------------------

    def _open(self) -> None:
        sink = self._sink = RunSink()
        session = Session(
            self.settings,
            sink=lambda: sink,
            now=local_clock,
            exclusive=self._exclusive,
            prefers_blocks=True,  # scripts count on buffers of many values
        )
        self._session = session
        # Also at the end of the program, so that the board is left clean and files are complete.
        self._finalizer = weakref.finalize(self, session.close)
        try:
            session.open()
            view = self._look()
        except BaseException:
            self._leave(hurried=True)
            raise
        logger.info("connected to %s, which runs %r", self.settings.board.url, view.project)

    def _leave(self, *, hurried: bool = False) -> None:
        """Disconnect; hurried: without waiting for callbacks."""
        with self._connecting:
            if self._finalizer is not None and self._session is not None and self._is_open:
                try:
                    self._session.close()
                finally:
                    if self._session.has_ended:  # else Ctrl-C leaves the rest to the finalizer
                        self._finalizer.detach()
        self._close_loop()

    @property
    def _is_open(self) -> bool:
        return self._finalizer is not None and self._finalizer.alive

    def _open_session(self) -> Session:
        if self._session is None or not self._is_open:
            raise NotConnectedError(self.settings.board.url)
        return self._session

    def _look(self) -> BoardView:
        self._view = self._result(self._open_session().look(), "list")
        return self._view

    def _variables(self, wanted: Callable[[Variable], bool]) -> Sequence[WatcherVariable]:
        return [_describe(variable) for variable in self._look().variables if wanted(variable)]

    def _choose(self, names: Sequence[str] | str) -> tuple[Variable, ...]:
        """Find variables by name; none given means all."""
        asked = self._names(names)
        return choose_variables(self._look().variables, asked, self.settings)

    @staticmethod
    def _names(variables: Sequence[str] | str) -> tuple[str, ...]:
        return check_arguments(_Selection, variables=variables).variables

    def _result(self, future: Future[T], request: str) -> T:
        try:
            return result_of(future, SESSION_REPLY_S)
        except TimeoutError:
            raise NoReplyError(request, self.settings.board.url, SESSION_REPLY_S) from None


def _settings(ip: str | None, port: int | None) -> Settings:
    settings = with_board_address(Settings(), None, os.environ)
    given = {"host": ip, "port": port}
    board = settings.board.model_dump() | {k: v for k, v in given.items() if v is not None}
    # A script's streams are its own buffers: no stream beside them tells of the clock.
    return parse_settings({"board": board, "streaming": {"clock_stream": ""}}, "ip and port")


def _describe(variable: Variable) -> WatcherVariable:
    return WatcherVariable(
        name=variable.name,
        type=variable.value_type.value,
        timestamp_mode="sparse" if variable.sparse else "dense",
        data_length=variable.layout.value_count,
        monitor=variable.monitor_period_ticks,
        watched=variable.watched,
        controlled=variable.controlled,
        logged=variable.logged,
        value=variable.value,
        timestampMode=int(variable.sparse),
        logFileName=variable.log_file_name,
        valueInput=variable.value_input,
    )


def _whole(rate_hz: float) -> float:
    """Return a whole number as an int, as the board does, so that it can be used as a tick."""
    return int(rate_hz) if float(rate_hz).is_integer() else rate_hz
