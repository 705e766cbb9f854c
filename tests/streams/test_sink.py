"""The interface of a sink: every sink of the project has all of it."""

from __future__ import annotations

import inspect

import pytest

from bela_module.recording.recording_sink import RecordingSink
from bela_module.scripting.streaming_run import RunSink
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.sink import Sink
from bela_module.streams.sink_tee import SinkTee

METHODS = [name for name, _ in inspect.getmembers(Sink, inspect.isfunction) if name[0] != "_"]


def test_the_methods_are_found() -> None:
    assert set(METHODS) == {
        "identify",
        "open",
        "is_open",
        "keep",
        "search_identities",
        "push",
        "gap",
        "late",
        "mark",
        "close",
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sink", [LslOutlets, RecordingSink, RunSink, SinkTee])
def test_every_sink_takes_the_same_arguments(sink: type, method: str) -> None:
    assert inspect.signature(getattr(sink, method)) == inspect.signature(getattr(Sink, method))
