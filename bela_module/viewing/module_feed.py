"""What all pages look at: a module's STATUS and variables, and inlets of its streams.

It lives in the event loop that serves the pages. While nobody looks it has no inlet and no
connection, and costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bela_module.errors import BelaError, ModuleError
from bela_module.streams.lsl.signal_inlet import SignalDescription, SignalInlet, find_signals
from bela_module.viewing.module_client import ModuleClient
from bela_module.viewing.signals.lanes import Channel
from bela_module.viewing.signals.live_signals import EventLog, LiveSignal
from bela_module.viewing.time_limits import (
    CLOCK_CORRECTION_S,
    IDLE_SEARCH_PERIOD_S,
    KEPT_S,
    LIST_PERIOD_S,
    OPEN_STREAM_S,
    PULL_PERIOD_S,
    RESOLVE_S,
    SEARCH_PERIOD_S,
    SET_PERIOD_S,
    STATUS_PERIOD_S,
)

logger = logging.getLogger(__name__)


class ModuleFeed:
    """Follows a module while at least one page looks.

    Parameters
    ----------
    host, port : str, int
        Where the module serves its PCOMMs.
    lists_variables : bool
        Whether the board's variables are asked for, too, for pages that control them.
    """

    def __init__(self, host: str, port: int, *, lists_variables: bool = False) -> None:
        self.status: dict[str, Any] | None = None
        """The newest STATUS object; None while the module does not answer."""
        self.variables: list[dict[str, Any]] = []
        """The board's variables, as LIST gives them."""
        self.signals: dict[str, LiveSignal] = {}
        self.events = EventLog(KEPT_S)
        self.outcome = ""
        """What became of the latest command, in words."""
        self._queries = ModuleClient(host, port)
        self._commands = ModuleClient(host, port)
        self._settings = ModuleClient(host, port)  # values need not wait for a command that lasts
        self._wanted: dict[str, float] = {}
        self._setting: asyncio.Task[None] | None = None
        self._list_now = asyncio.Event()
        self._lists_variables = lists_variables
        self._n_viewers = 0
        self._inlets: dict[str, SignalInlet] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._resting: asyncio.Task[None] | None = None
        self._sent: set[asyncio.Task[None]] = set()
        self._searcher = ThreadPoolExecutor(1, "bela-view-search")

    @property
    def address(self) -> str:
        """Where the module is asked."""
        return self._queries.address

    @property
    def is_watching(self) -> bool:
        """Whether anybody looks."""
        return self._n_viewers > 0

    @property
    def n_inlets(self) -> int:
        """How many streams are received."""
        return len(self._inlets)

    def enter(self) -> None:
        """Count a page that looks; the first one begins to receive."""
        self._n_viewers += 1
        if not self._tasks and self._resting is None:
            self._begin()

    def leave(self) -> None:
        """Count a page that looks no longer; after the last one nothing is received."""
        self._n_viewers -= 1
        if self._n_viewers == 0 and self._resting is None:
            self._resting = asyncio.create_task(self._rest())

    async def close(self) -> None:
        """End everything."""
        self._n_viewers = 0
        self._wanted.clear()
        commands = list(self._sent)
        for task in commands:
            task.cancel()
        await asyncio.gather(*commands, return_exceptions=True)
        await (self._resting or self._rest())
        await self._commands.close()
        await self._settings.close()
        self._searcher.shutdown(wait=True)

    def _begin(self) -> None:
        jobs = [self._follow_status(), self._follow_streams(), self._pull()]
        if self._lists_variables:
            jobs.append(self._follow_variables())
        self._tasks = [asyncio.create_task(job) for job in jobs]
        for task in self._tasks:
            task.add_done_callback(_report_failure)

    def send(self, pcomm: str, payload: dict[str, Any] | None = None) -> None:
        """Send a command; :attr:`outcome` says what became of it."""
        self._begin_sending(self._send(self._commands, pcomm, payload))

    def set_variable(self, name: str, value: float) -> None:
        """Set a variable; of values that come faster than the board takes them only the newest."""
        self._wanted[name] = value
        if self._setting is None or self._setting.done():
            self._setting = self._begin_sending(self._set_wanted())

    def release(self, names: Sequence[str] | None = None) -> None:
        """Give variables back to the sketch, by default all; forget what was still to be set."""
        for name in list(self._wanted) if names is None else names:
            self._wanted.pop(name, None)
        payload = None if names is None else {"variables": list(names)}
        self._begin_sending(self._send(self._settings, "RELEASE", payload))

    def _begin_sending(self, sending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(sending)
        self._sent.add(task)
        task.add_done_callback(self._sent.discard)
        return task

    async def _set_wanted(self) -> None:
        while self._wanted:
            name = next(iter(self._wanted))
            values = {name: self._wanted.pop(name)}
            await self._send(self._settings, "SET", {"values": values})
            await asyncio.sleep(SET_PERIOD_S)

    async def _send(self, client: ModuleClient, pcomm: str, payload: dict[str, Any] | None) -> None:
        self.outcome = f"{pcomm} …"
        try:
            self.outcome = await client.command(pcomm, payload)
        except BelaError as error:
            self.outcome = str(error)
        self._list_now.set()

    async def _rest(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._queries.close()
        for inlet in self._inlets.values():
            inlet.close()
        self._inlets.clear()
        self.signals.clear()
        self.status = None
        self._resting = None
        if self._n_viewers > 0:  # somebody came meanwhile
            self._begin()

    # ---- the jobs of a feed that is looked at ------------------------------------------------

    async def _follow_status(self) -> None:
        async def ask() -> None:
            try:
                self.status = await self._queries.query("STATUS")
            except ModuleError:  # the page says that it is not there
                self.status = None

        await _repeat(ask, STATUS_PERIOD_S)

    async def _follow_variables(self) -> None:
        async def ask() -> None:
            if not (self.status or {}).get("board", {}).get("connected"):
                return  # the module would log each time that it cannot know them
            with contextlib.suppress(ModuleError):
                self.variables = (await self._queries.query("LIST"))["variables"]

        while True:
            self._list_now.clear()
            await ask()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._list_now.wait(), LIST_PERIOD_S)

    async def _follow_streams(self) -> None:
        while True:
            status = self.status
            if status is not None:
                await self._search(status)
            missing = {stream["name"] for stream in (status or {}).get("streams", ())}
            missing -= self.signals.keys()
            is_waiting = status is None or missing
            await asyncio.sleep(SEARCH_PERIOD_S if is_waiting else IDLE_SEARCH_PERIOD_S)

    async def _search(self, status: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        names = {inlet.description.name for inlet in self._inlets.values()}
        identity = f"bela:{status['board'].get('name', '')}:".replace("::", ":")
        instance = str(status.get("instance", ""))
        opening = loop.run_in_executor(self._searcher, _open_new, identity, instance, names)
        try:
            opened = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise
        for uid, inlet in opened.items():
            self._take(uid, inlet)

    def _take(self, uid: str, inlet: SignalInlet) -> None:
        description = inlet.description
        self._inlets[uid] = inlet
        if not description.is_events:
            known = self.signals.get(description.name)
            channels = _channels(description)
            rate_hz = description.nominal_rate_hz
            if known is None or (known.channels, known.nominal_rate_hz) != (channels, rate_hz):
                correction_s = CLOCK_CORRECTION_S if inlet.is_remote else 0.0
                signal = LiveSignal(channels, rate_hz, KEPT_S, correction_s)
                self.signals[description.name] = signal
                self.signals = dict(sorted(self.signals.items(), key=self._place))

    def _place(self, item: tuple[str, LiveSignal]) -> tuple[int, str]:
        """Order signals as STATUS lists the streams."""
        names = [stream["name"] for stream in (self.status or {}).get("streams", ())]
        return (names.index(item[0]) if item[0] in names else len(names), item[0])

    async def _pull(self) -> None:
        async def pull() -> None:
            for uid, inlet in list(self._inlets.items()):
                try:
                    self._pull_one(inlet)
                except EOFError:
                    self._inlets.pop(uid).close()
                    self.signals.pop(inlet.description.name, None)

        await _repeat(pull, PULL_PERIOD_S)

    def _pull_one(self, inlet: SignalInlet) -> None:
        if inlet.description.is_events:
            for stamp_s, text in inlet.pull_events():
                self.events.add(stamp_s, text)
        else:
            self.signals[inlet.description.name].add(*inlet.pull())


def _open_new(identity: str, instance: str, received: set[str]) -> dict[str, SignalInlet]:
    """Find streams and open those that are not received, in a thread: LSL waits meanwhile.

    A name is received once, else two outlets would be drawn as one signal. Where one has taken the
    place of another, it is found after the other has ended.
    """
    opened = {}
    names = set(received)
    for uid, info in find_signals(identity, RESOLVE_S, instance).items():
        if info.name() in names:
            continue
        try:
            opened[uid] = SignalInlet(info, OPEN_STREAM_S)
            names.add(info.name())
        except (TimeoutError, RuntimeError) as error:
            logger.warning("the stream %s cannot be received: %s", info.name(), error)
    return opened


def _close_opened(opening: asyncio.Future[dict[str, SignalInlet]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        for inlet in opening.result().values():
            inlet.close()


def _channels(description: SignalDescription) -> tuple[Channel, ...]:
    pairs = zip(description.labels, description.units, strict=True)
    return tuple(Channel(description.name, k, *names) for k, names in enumerate(pairs))


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("the live page stands still: %r", task.exception(), exc_info=task.exception())


async def _repeat(job: Callable[[], Awaitable[None]], period_s: float) -> None:
    while True:
        await job()
        await asyncio.sleep(period_s)
