"""Inlets that look into streams of a module: descriptions, samples as arrays, markers as text."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pylsl

from bela_module.protocol.variables import Array
from bela_module.streams.lsl.inlet_receiver import resolve_identity
from bela_module.streams.sink import Stamps

_MAX_CHUNK: Final = 16_384
_BUFFER_S: Final = 30
_CLOCK_TYPE: Final = "Clock"


@dataclass(frozen=True, slots=True)
class SignalDescription:
    """What a stream says of itself.

    Attributes
    ----------
    name : str
        Its name.
    labels, units : tuple of str
        Name and unit of each channel.
    nominal_rate_hz : float
        Samples per second; 0 for an irregular stream.
    is_events : bool
        Whether its samples are texts.
    """

    name: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    nominal_rate_hz: float
    is_events: bool


def find_signals(
    identity: str, timeout_s: float, instance: str = ""
) -> dict[str, pylsl.StreamInfo]:
    """Find the streams of signals and events of a module, not that of its clock.

    Parameters
    ----------
    identity : str
        What the ``source_id`` of each begins with.
    timeout_s : float
        How long to look.
    instance : str
        ``instance`` of the module's STATUS, since another module's board may have the same name;
        empty: any.

    Returns
    -------
    dict of str to StreamInfo
        By the ``uid`` of the outlet.
    """
    found = resolve_identity(identity, timeout_s, instance=instance)
    return {info.uid(): info for info in found if info.type() != _CLOCK_TYPE}


class SignalInlet:
    """One stream that is looked at.

    Parameters
    ----------
    info : StreamInfo
        The stream, as it was found.
    timeout_s : float
        For it to be connected to.

    Raises
    ------
    TimeoutError, RuntimeError
        When it cannot be.
    """

    def __init__(self, info: pylsl.StreamInfo, timeout_s: float) -> None:
        # Stamps of another computer are of another clock.
        self.is_remote: bool = info.hostname() != socket.gethostname()
        flags = pylsl.proc_clocksync if self.is_remote else pylsl.proc_none
        self._inlet = pylsl.StreamInlet(info, _BUFFER_S, recover=False, processing_flags=flags)
        try:
            self.description = _describe(self._inlet.info(timeout_s))
            self._inlet.open_stream(timeout_s)
        except (TimeoutError, RuntimeError):
            self._inlet.close_stream()
            raise

    def pull(self) -> tuple[Stamps, Array]:
        """Take the samples that have come.

        Returns
        -------
        stamps_s : ndarray of float64 of shape (n_samples,)
            LSL time of each.
        values : ndarray of shape (n_samples, n_channels)
            The samples.

        Raises
        ------
        EOFError
            When the stream is no longer there.
        """
        chunks: list[tuple[Stamps, Array]] = []
        while True:
            values, stamps_s = self._pull(as_numpy=True)
            chunks.append((np.asarray(stamps_s), np.asarray(values)))
            if len(stamps_s) < _MAX_CHUNK:
                break
        if len(chunks) == 1:
            return chunks[0]
        return (
            np.concatenate([stamps_s for stamps_s, _ in chunks]),
            np.concatenate([values for _, values in chunks]),
        )

    def pull_events(self) -> list[tuple[float, str]]:
        """Take the markers that have come, of a stream of events, with their times.

        Raises
        ------
        EOFError
            When the stream is no longer there.
        """
        rows, stamps_s = self._pull()
        return [(float(at_s), str(row[0])) for at_s, row in zip(stamps_s, rows, strict=True)]

    def close(self) -> None:
        """End the connection."""
        self._inlet.close_stream()

    def _pull(self, **options: Any) -> tuple[Any, Any]:
        try:
            rows, stamps_s = self._inlet.pull_chunk(0.0, _MAX_CHUNK, **options)
        except (pylsl.util.LostError, RuntimeError) as error:
            raise EOFError(f"{error}") from error
        return rows, stamps_s


def _describe(info: pylsl.StreamInfo) -> SignalDescription:
    labels, units = [], []
    channel = info.desc().child("channels").child("channel")
    for k in range(info.channel_count()):
        labels.append(channel.child_value("label") or f"{info.name()} {k}")
        units.append(channel.child_value("unit"))
        channel = channel.next_sibling("channel")
    is_events = info.channel_format() == pylsl.cf_string
    rate_hz = float(info.nominal_srate())
    return SignalDescription(info.name(), tuple(labels), tuple(units), rate_hz, is_events)
