"""LSL outlets: the only place that publishes with pylsl.

Every sample is pushed with its own stamp, since the nominal rate of a stream is never exactly
the board's: stamps that LSL deduces from it would jump by microseconds at each block.
"""

from __future__ import annotations

import contextlib
import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pylsl
from pylsl.util import handle_error

from bela_module.errors import StreamError
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.tracking.runs import Gap
from bela_module.version import __version__

_IRREGULAR_BUFFER_HUNDREDS: Final = 100  # of samples, LSL's unit for irregular streams

_MAX_ENDING_AT_ONCE: Final = 32

_LSL_FORMATS: Final = {
    SampleFormat.INT8: pylsl.cf_int8,
    SampleFormat.INT32: pylsl.cf_int32,
    SampleFormat.FLOAT32: pylsl.cf_float32,
    SampleFormat.DOUBLE64: pylsl.cf_double64,
}

_MACHINE_ONLY: Final = (
    "[log]\nlevel = -2\n[multicast]\nResolveScope = machine\n[ports]\nIPv6 = disable\n"
)


def keep_on_this_machine() -> None:
    """Restrict LSL to this machine; to be called before the first stream."""
    pylsl.set_config_content(_MACHINE_ONLY)


def source_id(origin: Origin, stream: str, membership: str = "") -> str:
    """Build the identity by which inlets find a stream again: the same at every start.

    Where variables share a stream, another set of them is another stream.
    """
    identity = f"bela:{origin.board}:{origin.project}:{stream}"
    return f"{identity}:{membership}" if membership else identity


@dataclass(slots=True)
class _Outlet:
    info_key: tuple[Any, ...]
    outlet: pylsl.StreamOutlet
    last_stamp_s: float = -np.inf


class LslOutlets:
    """Publishes streams over LSL; a ``Sink``.

    Outlets stay when streaming stops, so that recorders and inlets keep them, until
    :meth:`close`.

    Parameters
    ----------
    events_stream : str
        Name of the marker stream.
    max_buffered_s : float
        How much of a dense stream is kept for a slow consumer, unless it is configured for it.
        LSL's own default of 360 s takes hundreds of megabytes for one audio-rate channel.
    """

    def __init__(self, events_stream: str = "bela_events", max_buffered_s: float = 10.0) -> None:
        self._events_stream = events_stream
        self._max_buffered_s = max_buffered_s
        self._outlets: dict[str, _Outlet] = {}
        self._events: pylsl.StreamOutlet | None = None

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Create the outlet of a stream, or keep the one that is there.

        Raises
        ------
        StreamError
            When LSL refuses to create it.
        """
        rate_hz = facts.nominal_rate_hz
        identity = source_id(facts.origin, plan.name, plan.membership)
        key = (plan.name, plan.labels, rate_hz, plan.sample_format, identity)
        there = self._outlets.get(plan.name)
        if there is not None and there.info_key == key:
            return
        self._outlets.pop(plan.name, None)
        del there  # two outlets of one identity cannot be told apart: the old one goes first
        outlet = _create(_stream_info(plan, facts, identity), self._max_buffered(plan, facts))
        self._outlets[plan.name] = _Outlet(key, outlet)

    def _max_buffered(self, plan: StreamPlan, facts: StreamFacts) -> int:
        """Return the size of a stream's buffer in LSL's units: seconds, or hundreds of samples."""
        if plan.mode is not StreamMode.DENSE:
            return _IRREGULAR_BUFFER_HUNDREDS
        configured_s = plan.settings.max_buffered_s if plan.settings is not None else None
        length_s = configured_s or self._max_buffered_s
        if facts.nominal_rate_hz:
            return max(1, round(length_s))
        # Irregular, for its rate is not known: it is at most that of the ticks.
        return max(_IRREGULAR_BUFFER_HUNDREDS, round(length_s * facts.origin.tick_rate_hz / 100))

    def identify(self, origin: Origin) -> None:
        """Create the outlet of the markers; it stays what it is, whatever the board runs later."""
        if self._events is not None:
            return
        name = self._events_stream
        info = pylsl.StreamInfo(name, "Markers", 1, 0.0, pylsl.cf_string, source_id(origin, name))
        _describe_channels(info, (name,), ("",), "Markers")
        _describe_origin(info, origin)
        self._events = _create(info, _IRREGULAR_BUFFER_HUNDREDS)

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Publish samples.

        Parameters
        ----------
        plan : StreamPlan
            A stream that was opened.
        ticks : ndarray of int64 of shape (n_samples,)
            Not used by LSL.
        values : ndarray of shape (n_samples, n_channels)
            Already in the stream's format.
        stamps_s : ndarray of float64 of shape (n_samples,)
            One for each sample, finite and never decreasing, also from one call to the next.

        Raises
        ------
        StreamError
            When the stream is not open, or shape, type or stamps are not as they must be.
        """
        entry = self._outlets.get(plan.name)
        if entry is None:
            raise StreamError(f"stream {plan.name!r} is not open")
        _check(plan, values, stamps_s, entry.last_stamp_s)
        data = np.ascontiguousarray(values)
        stamps = np.ascontiguousarray(stamps_s)
        outlet = entry.outlet
        # pylsl's own call turns an array of stamps into Python floats, at four times the cost.
        handle_error(
            outlet.do_push_chunk_n(
                outlet.obj,
                ctypes.c_void_p(data.ctypes.data),
                ctypes.c_long(data.size),
                ctypes.c_void_p(stamps.ctypes.data),
                ctypes.c_int(1),
            )
        )
        entry.last_stamp_s = float(stamps[-1])

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Do nothing: a gap of an LSL stream is a gap in its stamps."""

    def mark(self, text: str, lsl_s: float) -> None:
        """Publish a marker, stamped with the time at which it happened."""
        if self._events is not None:
            self._events.push_sample([text], lsl_s)

    def has_listeners(self, plan: StreamPlan) -> bool:
        """Tell whether anybody listens to a stream."""
        entry = self._outlets.get(plan.name)
        return entry is not None and bool(entry.outlet.have_consumers())

    def close(self) -> None:
        """End all outlets; safe to call more than once."""
        self._events = None
        ending = list(self._outlets.values())
        self._outlets.clear()
        # LSL takes some 25 ms to end an outlet, but ends many at once just as fast.
        with ThreadPoolExecutor(_MAX_ENDING_AT_ONCE, "bela-outlets") as pool:
            for _ in range(len(ending)):
                pool.submit(ending.pop)


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
    if not np.isfinite(stamps_s).all():
        raise StreamError(f"{plan.name}: a stamp is not finite")
    if stamps_s[0] < last_stamp_s or (stamps_s[1:] < stamps_s[:-1]).any():
        raise StreamError(f"{plan.name}: stamps run backwards after {last_stamp_s:.6f} s")


def _create(info: pylsl.StreamInfo, max_buffered: int) -> pylsl.StreamOutlet:
    try:
        return pylsl.StreamOutlet(info, 0, max_buffered)
    except RuntimeError as error:
        raise StreamError(f"LSL could not create the stream {info.name()!r}: {error}") from error


def _stream_info(plan: StreamPlan, facts: StreamFacts, identity: str) -> pylsl.StreamInfo:
    settings = plan.settings
    content_type = settings.type if settings is not None else "Bela"
    info = pylsl.StreamInfo(
        plan.name,
        content_type,
        len(plan.variables),
        facts.nominal_rate_hz,
        _LSL_FORMATS[plan.sample_format],
        identity,
    )
    units = tuple(settings.units) if settings is not None and settings.units else ()
    units = units or ("",) * len(plan.variables)
    _describe_channels(info, plan.labels, units, content_type)
    _describe_origin(info, facts.origin)
    acquisition = info.desc().child("acquisition")
    acquisition.append_child_value("mode", plan.mode.value)
    synchronization = info.desc().append_child("synchronization")
    # Importers subtract offset_mean: it is 0, since the stamps are corrected already.
    synchronization.append_child_value("offset_mean", "0")
    synchronization.append_child_value("uncertainty_s", f"{facts.origin.uncertainty_s:.6f}")
    # Without it an importer fits one straight line through a stream and squeezes gaps out.
    can_drop = "true" if plan.mode is StreamMode.DENSE else "false"
    synchronization.append_child_value("can_drop_samples", can_drop)
    return info


def _describe_channels(
    info: pylsl.StreamInfo, labels: tuple[str, ...], units: tuple[str, ...], content_type: str
) -> None:
    channels = info.desc().append_child("channels")
    for label, unit in zip(labels, units, strict=True):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
        channel.append_child_value("type", content_type)


def _describe_origin(info: pylsl.StreamInfo, origin: Origin) -> None:
    acquisition = info.desc().append_child("acquisition")
    for key, value in {
        "manufacturer": "Bela",
        "model": "Bela",
        "project": origin.project,
        "tick_rate_hz": f"{origin.tick_rate_hz:.6f}",
        "declared_rate_hz": f"{origin.declared_rate_hz:.6f}",
        "compensated_lag": f"{origin.input_delay_s:.6f}",
    }.items():
        acquisition.append_child_value(key, value)
    versions = info.desc().append_child("versions")
    versions.append_child_value("dp-bela", __version__)
    with contextlib.suppress(AttributeError):
        versions.append_child_value("liblsl", str(pylsl.library_version()))
