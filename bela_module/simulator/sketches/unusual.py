"""Built-in sketches with unusual assignments or names, and those of pybela's tests. Pure.

A variable holds its tick, or the number of the assignment, so that a value which is lost, doubled
or shifted is a difference of whole numbers.
"""

from __future__ import annotations

from typing import Final

from bela_module.protocol.variables import ValueType
from bela_module.simulator.sketches.assignments import (
    NEVER_ASSIGNED,
    AssignmentPattern,
    Assignments,
    GatedAssignments,
    RepeatedAssignments,
    UnevenAssignments,
)
from bela_module.simulator.sketches.signals import falling_ramp, float_ramp, ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable

_J, _F, _D = ValueType.UNSIGNED_INT, ValueType.FLOAT, ValueType.DOUBLE
_EVERY_12: Final = Assignments(12)
_FAST: Final = SketchVariable("fast", _D, ramp)

ODD_NAMES: Final = (
    "",
    " ",
    "with space",
    "quotes \"double\" and 'single'",
    "slash/and\\backslash",
    "../../up",
    "line\nfeed, tab\t, bell\a, escape\x1b[31m, delete\x7f",
    "<xml attribute='a'>&amp;]]></xml>",
    "naïve π 脳波 \u202e\ufeff",
    "%s %n {0} $HOME `id` ; #",
    "CON",
    "a,b+c=d:e",
    "long" * 2500,
)
"""Names of the sketch ``odd-names``: all that C++ allows and files, XML or shells may dislike."""


def _dense_pair(name: str, pattern: AssignmentPattern) -> tuple[SketchVariable, SketchVariable]:
    """Make a dense variable that holds its tick and another that holds the assignment's number."""
    return (
        SketchVariable(name, _D, ramp, assignments=pattern),
        SketchVariable(f"{name}_count", _D, ramp, assignments=pattern, by_number=True),
    )


UNUSUAL_SKETCHES: Final = (
    Sketch(
        "slow-dense",
        "a dense variable assigned every 16 000 ticks (0.36 s), beside a fast one",
        (*_dense_pair("slow", Assignments(16_000)), _FAST),
    ),
    Sketch(
        "gated",
        "a dense variable assigned at 1000 ticks in a row every 2 s",
        (*_dense_pair("gated", GatedAssignments(1000, 88_200)), _FAST),
    ),
    Sketch(
        "auxiliary",
        "a dense variable assigned by an auxiliary task, every 5 to 19 ms",
        (*_dense_pair("auxiliary", UnevenAssignments(529, 310)), _FAST),
    ),
    Sketch(
        "twice",
        "dense and sparse variables assigned twice per tick; they count the assignments",
        (
            SketchVariable("twice", _D, ramp, assignments=RepeatedAssignments(2), by_number=True),
            SketchVariable(
                "twice_sparse", _D, ramp, True, RepeatedAssignments(2, _EVERY_12), by_number=True
            ),
            _FAST,
        ),
    ),
    Sketch(
        "per-block",
        "one tick() per audio block, with its first frame, then 16 assignments: frame numbers",
        (
            SketchVariable(
                "frame",
                _D,
                ramp,
                assignments=RepeatedAssignments(16, Assignments(16)),
                by_number=True,
            ),
            SketchVariable("block", _D, ramp, assignments=Assignments(16)),
        ),
        tick_call_step=16,
    ),
    Sketch(
        "duplicates",
        "two variables of one name, as an older Watcher has them: commands reach the first",
        (
            SketchVariable("twin", _D, ramp),
            SketchVariable("twin", _D, falling_ramp),
            _FAST,
        ),
    ),
    Sketch(
        "gain",
        "a variable that is only read, for control, and never assigned, beside a normal one",
        (SketchVariable("gain", _F, float_ramp, assignments=NEVER_ASSIGNED), _FAST),
    ),
    Sketch(
        "odd-names",
        "names with quotes, slashes, control characters, non-ASCII; empty, and very long",
        tuple(SketchVariable(name, _D, ramp) for name in ODD_NAMES),
    ),
    Sketch("empty", "no variables at all", ()),
    Sketch(
        "bela-test",
        "of pybela's tests: three dense variables, two sparse ones every 12 ticks",
        (
            SketchVariable("myvar", _D, ramp),
            SketchVariable("myvar2", _J, ramp),
            SketchVariable("myvar3", _J, ramp, True, _EVERY_12),
            SketchVariable("myvar4", _D, ramp, True, _EVERY_12),
            SketchVariable("myvar5", _D, ramp),
        ),
    ),
    Sketch(
        "bela-test-send",
        "of pybela's tests: sends back what it receives; ticks once for each buffer",
        (
            SketchVariable("myvar1", _F, float_ramp, assignments=NEVER_ASSIGNED),
            SketchVariable("myvar2", _F, float_ramp, assignments=NEVER_ASSIGNED),
        ),
        echoes_buffers=True,
    ),
)
"""Further sketches; see ``built_in.SKETCHES``."""
