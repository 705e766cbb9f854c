"""Sketches and helpers for the tests of the simulated Watcher."""

from __future__ import annotations

from collections.abc import Sequence

from bela_module.protocol.control_commands import Json, encode_commands
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder
from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import Assignments
from bela_module.simulator.sketches.built_in import SKETCHES
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.watcher.simulated_watcher import ControlReply, DataPair, SimulatedWatcher

DOUBLE, UNSIGNED = ValueType.DOUBLE, ValueType.UNSIGNED_INT
EVERY_12 = Assignments(step_ticks=12)

ALL_TYPES = SKETCHES["alltypes"].variables
BELA_TEST = (
    SketchVariable("myvar", DOUBLE, ramp),
    SketchVariable("myvar2", UNSIGNED, ramp),
    SketchVariable("myvar3", UNSIGNED, ramp, sparse=True, assignments=EVERY_12),
    SketchVariable("myvar4", DOUBLE, ramp, sparse=True, assignments=EVERY_12),
    SketchVariable("myvar5", DOUBLE, ramp),
)
MANY = (
    *SKETCHES["many"].variables[:120],
    SketchVariable('a/b "q" \\ é', DOUBLE, ramp),
    SketchVariable("", DOUBLE, ramp),
    SketchVariable("dup", DOUBLE, ramp),
    SketchVariable("dup", DOUBLE, lambda ticks, _times_s: -ticks),
)
BURST = 16


def active_watcher(variables: Sequence[SketchVariable], last_tick: int = -1) -> SimulatedWatcher:
    watcher = SimulatedWatcher(variables, last_tick=last_tick)
    watcher.set_client_active(True)
    return watcher


def advance(watcher: SimulatedWatcher, to_tick: int) -> list[bytes]:
    """Run a watcher burst by burst, and give what it sent on the data channel."""
    ends = [*range(watcher.tick + BURST, to_tick, BURST), to_tick]
    sent = [message for end in ends for message in watcher.advance(end)]
    return data_of(sent)


def data_of(sent: Sequence[DataPair | ControlReply]) -> list[bytes]:
    pairs = [message for message in sent if isinstance(message, DataPair)]
    return [part for pair in pairs for part in (pair.header, pair.payload.data)]


def tell(watcher: SimulatedWatcher, *commands: Json) -> list[str]:
    return [reply for text in encode_commands(commands) for reply in watcher.command(text)]


def blocks_of(watcher: SimulatedWatcher, data: Sequence[bytes]) -> list[Block]:
    decoder = DataDecoder(watcher.describe())
    received = [decoder.receive(message) for message in data]
    return [block for block in received if isinstance(block, Block)]
