"""Which channel of which stream: ``STREAM/CHANNEL``, by name or number. Pure.

``STREAM`` is the name or the ``source_id`` of a stream, ``CHANNEL`` a label or a number from 0.
``STREAM/CHANNEL=TEXT`` takes only markers of that text, or samples of that value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bela_module.errors import RecordingError
from bela_module.reports.recorded_stream import RecordedStream


@dataclass(frozen=True, slots=True, eq=False)
class ChosenChannel:
    """A channel of a recording.

    Parameters
    ----------
    stream : RecordedStream
        Its stream.
    channel : int
        Its number.
    only : str, optional
        Text or value of the samples that count; by default all do.
    """

    stream: RecordedStream
    channel: int
    only: str | None = None

    @property
    def title(self) -> str:
        """What it is called in a report."""
        label = self.stream.labels[self.channel] or str(self.channel)
        return f"{self.stream.name}/{label}" + (f"={self.only}" if self.only is not None else "")


def channels_meant(
    choice: str, name: str, source_id: str, labels: Sequence[str]
) -> tuple[int, ...]:
    """Tell which channels of a stream a choice can mean; none when it means another stream.

    Parameters
    ----------
    choice : str
        As given by the user.
    name, source_id : str
        Of the stream.
    labels : sequence of str
        Of its channels.
    """
    found = (_channel(channel, labels) for channel, _ in _readings(choice, name, source_id))
    return tuple({channel: None for channel in found if channel is not None})


def choose_channel(choice: str, streams: Sequence[RecordedStream]) -> ChosenChannel:
    """Find the channel that a choice means.

    Raises
    ------
    RecordingError
        There is no such stream or channel, or there are several; the message names what is there.
    """
    found: list[ChosenChannel] = []
    streams_meant: list[RecordedStream] = []
    for stream in streams:
        for channel, only in _readings(choice, stream.name, stream.source_id):
            streams_meant.append(stream)
            number = _channel(channel, stream.labels)
            if number is not None:
                found.append(ChosenChannel(stream, number, only))
                break
    filled = [one for one in found if one.stream.stamps_s.size]
    if len(filled) == 1 or len(found) == 1:
        return (filled or found)[0]
    if found:
        several = ", ".join(one.stream.source_id or one.stream.name for one in found)
        raise RecordingError(
            f"{choice!r} can be a channel of several streams; give the source_id for the name: "
            f"{several}"
        )
    if streams_meant:
        stream = streams_meant[0]
        labels = ", ".join(label or str(k) for k, label in enumerate(stream.labels[:20]))
        raise RecordingError(f"{choice!r}: {stream.name} has no such channel; it has {labels}")
    names = ", ".join(stream.name for stream in streams[:20])
    raise RecordingError(
        f"{choice!r} is no channel of this recording; give STREAM/CHANNEL. Its streams: {names}"
    )


def _readings(choice: str, name: str, source_id: str) -> Iterator[tuple[str, str | None]]:
    """Give each way to read a choice as channel and text of this stream.

    Names and labels may have a slash or an equals sign in them.
    """
    for stream in (name, source_id):
        if stream and choice.startswith(f"{stream}/"):
            rest = choice[len(stream) + 1 :]
            yield rest, None
            for at in (at for at, sign in enumerate(rest) if sign == "="):
                yield rest[:at], rest[at + 1 :]


def _channel(channel: str, labels: Sequence[str]) -> int | None:
    if channel in labels:
        return list(labels).index(channel)
    if channel.isascii() and channel.isdigit() and int(channel) < len(labels):
        return int(channel)
    return None
