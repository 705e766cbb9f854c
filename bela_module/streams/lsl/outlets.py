"""LSL outlets: the ``Sink`` that publishes streams and markers.

Nothing here waits for LSL: outlets are created and ended by the ``OutletWorker``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from bela_module.errors import StreamError
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.lsl.held_samples import Held, HeldMarker, HeldSamples, MemoryBudget
from bela_module.streams.lsl.identity_watch import IdentityWatch
from bela_module.streams.lsl.lsl_outlet import LslOutlet
from bela_module.streams.lsl.outlet_channel import ChannelState, OutletChannel
from bela_module.streams.lsl.outlet_worker import OutletWorker
from bela_module.streams.lsl.stream_info import markers_info, samples_info, source_id
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap

_IRREGULAR_BUFFER_HUNDREDS: Final = 100  # of samples, LSL's unit for irregular streams
_LONGEST_S: Final = 1e6
_HELD_BYTES: Final = 80 << 20
_WAITING_BYTES: Final = 96 << 20  # with what waits for a nominal rate: 128 MiB in all


@dataclass(slots=True)
class _OpenStream:
    info_key: tuple[Any, ...]
    channel: OutletChannel
    plan: StreamPlan
    last_stamp_s: float = -np.inf


class LslOutlets:
    """Publishes streams over LSL; a ``Sink``.

    Outlets stay when streaming stops, so that recorders and inlets keep them, until
    :meth:`close`. The first samples of a run and all markers wait up to 5 s for a listener.

    Parameters
    ----------
    events_stream : str
        Name of the marker stream.
    max_buffered_s : float
        How much of a stream is kept for a slow consumer, unless it is configured for it.
        LSL's own default of 360 s takes hundreds of megabytes for one audio-rate channel.
    now : callable
        LSL seconds.
    """

    def __init__(
        self,
        events_stream: str = "bela_events",
        max_buffered_s: float = 10.0,
        now: Callable[[], float] = local_clock,
    ) -> None:
        self._events_stream = events_stream
        self._max_buffered_s = max_buffered_s
        self._now = now
        self._streams: dict[str, _OpenStream] = {}
        self._events: OutletChannel | None = None
        self._budget = MemoryBudget(_HELD_BYTES, _WAITING_BYTES)
        self._stamps_in_order_s: Stamps | None = None
        self._worker = OutletWorker(self._channels)
        self._identities = IdentityWatch(self._own_uids)

    def _channels(self) -> list[OutletChannel]:
        channels = [stream.channel for stream in list(self._streams.values())]
        return channels if self._events is None else [*channels, self._events]

    def _own_uids(self) -> set[str]:
        return {uid for channel in self._channels() if (uid := channel.uid) is not None}

    # ---- outlets --------------------------------------------------------------------------

    def identify(self, origin: Origin) -> None:
        """Create the outlet of the markers; it stays what it is, whatever the board runs later."""
        if self._events is not None:
            return
        name = self._events_stream
        create = partial(_create_markers, name, origin)
        self._events = OutletChannel(name, create, self._budget, self._now, holds_each=True)
        self._worker.submit(self._events.open)
        self._identities.start()

    def search_identities(self) -> None:
        """Look for others that publish the same streams; outlets are opened when that is done."""
        self._identities.search()

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Begin to create the outlet of a stream, or keep the one that is there."""
        rate_hz = facts.nominal_rate_hz
        identity = source_id(facts.origin, plan.name, plan.membership)
        key = (plan.name, plan.labels, rate_hz, plan.sample_format, identity)
        before = self._streams.get(plan.name)
        if before is not None:
            usable = before.channel.state not in (ChannelState.FAILED, ChannelState.ENDED)
            if usable and before.info_key == key:
                before.plan = plan
                self._ask(before.channel, before.channel.begin_run)
                return
            # Two outlets of one identity cannot be told apart: the old one goes first.
            self._ask(before.channel, before.channel.end)
        create = partial(self._create, plan, facts, identity)
        channel = OutletChannel(plan.name, create, self._budget, self._now)
        last_stamp_s = before.last_stamp_s if before is not None else -np.inf
        self._streams[plan.name] = _OpenStream(key, channel, plan, last_stamp_s)
        self._identities.after_search(partial(self._worker.submit, channel.open))

    def is_open(self, plan: StreamPlan) -> bool:
        """Tell whether others can find the outlet of a stream.

        Raises
        ------
        StreamError
            When it could not be created, or LSL takes no more samples.
        """
        stream = self._streams.get(plan.name)
        if stream is None:
            return False
        if stream.channel.error is not None:
            raise stream.channel.error
        return stream.channel.state is not ChannelState.OPENING

    def keep(self, variables: Sequence[Variable]) -> None:
        """Let outlets of variables that are gone end, once nobody has listened for a minute."""
        there = {variable.identity for variable in variables}
        for stream in self._streams.values():
            gone = any(variable.identity not in there for variable in stream.plan.variables)
            channel = stream.channel
            self._ask(channel, channel.may_end if gone else channel.must_stay)

    def _create(self, plan: StreamPlan, facts: StreamFacts, identity: str) -> LslOutlet:
        self._identities.check(identity)
        return LslOutlet(samples_info(plan, facts), self._max_buffered(plan, facts))

    def _max_buffered(self, plan: StreamPlan, facts: StreamFacts) -> int:
        """Return the size of a stream's buffer in LSL's units: seconds, or hundreds of samples."""
        configured_s = plan.settings.max_buffered_s if plan.settings is not None else None
        length_s = configured_s or self._max_buffered_s
        if facts.nominal_rate_hz:
            # A slow variable may become faster, while the nominal rate stays: as many as below.
            least_s = min(100 * _IRREGULAR_BUFFER_HUNDREDS / facts.nominal_rate_hz, _LONGEST_S)
            return max(1, round(max(length_s, least_s)))
        # Irregular: its rate is at most that of the ticks. That costs memory only where a consumer
        # asks for so much; by itself it asks for 36 000 samples.
        return max(_IRREGULAR_BUFFER_HUNDREDS, round(length_s * facts.origin.tick_rate_hz / 100))

    # ---- samples and markers --------------------------------------------------------------

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Publish samples.

        Parameters
        ----------
        plan : StreamPlan
            A stream that was opened.
        ticks : ndarray of int64 of shape (n_samples,)
            Not used by LSL.
        values : ndarray of shape (n_samples, n_channels)
            Already in the stream's format; must not change afterwards.
        stamps_s : ndarray of float64 of shape (n_samples,)
            One for each sample, finite and never decreasing, also from one call to the next.

        Raises
        ------
        StreamError
            When the stream is not open, or shape, type or stamps are not as they must be.
        """
        stream = self._streams.get(plan.name)
        if stream is None or stream.channel.state is ChannelState.ENDED:
            raise StreamError(f"stream {plan.name!r} is not open")
        if stream.channel.error is not None:
            raise stream.channel.error
        _check(plan, values, stamps_s, stream.last_stamp_s)
        if stamps_s is not self._stamps_in_order_s:  # streams that are assigned together share them
            _check_order(plan, stamps_s)
            self._stamps_in_order_s = None if stamps_s.flags.writeable else stamps_s
        self._submit(stream.channel, HeldSamples(values, stamps_s), plan.name)
        stream.last_stamp_s = float(stamps_s[-1])

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Do nothing: a gap of an LSL stream is a gap in its stamps."""

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None:
        """Do nothing: LSL takes no stamp that is earlier than one before."""

    def mark(self, text: str, lsl_s: float) -> None:
        """Publish a marker, stamped with the time at which it happened."""
        if self._events is not None:
            self._submit(self._events, HeldMarker(text, lsl_s), self._events_stream)

    def _ask(self, channel: OutletChannel, job: Callable[[], None]) -> None:
        self._worker.submit(channel.job(job))

    def _submit(self, channel: OutletChannel, item: Held, name: str) -> None:
        try:
            if channel.push_now(item):
                return
        except Exception as error:
            self._ask(channel, partial(channel.fail, error))
            raise StreamError(f"LSL did not take samples of {name}: {error!r}") from error
        if not self._budget.take(item.n_bytes):
            raise StreamError(
                f"{name}: {self._budget.used_bytes >> 20} MiB of samples wait for LSL already; "
                "is this computer too busy?"
            )
        if (job := channel.leave(item)) is not None:
            self._worker.submit(job)

    def close(self) -> None:
        """Push what waits and end all outlets; safe to call more than once."""
        self._identities.stop()
        self._worker.end()
        self._events = None
        self._streams.clear()


def _create_markers(name: str, origin: Origin) -> LslOutlet:
    return LslOutlet(markers_info(name, origin), _IRREGULAR_BUFFER_HUNDREDS)


def _check(plan: StreamPlan, values: Array, stamps_s: Stamps, last_stamp_s: float) -> None:
    expected = (stamps_s.size, len(plan.variables))
    if values.shape != expected or stamps_s.ndim != 1 or stamps_s.size == 0:
        raise StreamError(
            f"{plan.name}: values of shape {values.shape} with {stamps_s.size} stamps; "
            f"shape {expected} and at least one sample were expected"
        )
    if values.dtype != plan.sample_format.dtype or stamps_s.dtype != np.float64:
        raise StreamError(
            f"{plan.name}: values of {values.dtype} and stamps of {stamps_s.dtype}; "
            f"{plan.sample_format.dtype} and float64 were expected"
        )
    if stamps_s[0] < last_stamp_s:
        raise StreamError(f"{plan.name}: stamps run backwards after {last_stamp_s:.6f} s")


def _check_order(plan: StreamPlan, stamps_s: Stamps) -> None:
    # In one look at the array: of stamps in order, with NaN in no order, the ends tell of the rest.
    is_later = stamps_s[1:] >= stamps_s[:-1]
    in_order = stamps_s.size == 1 or bool(is_later[is_later.argmin()])  # soon told, unlike all()
    if in_order and math.isfinite(stamps_s[0]) and math.isfinite(stamps_s[-1]):
        return
    if not np.isfinite(stamps_s).all():
        raise StreamError(f"{plan.name}: a stamp is not finite")
    raise StreamError(f"{plan.name}: stamps run backwards from one sample to the next")
