"""Which variables share streams: by their number, format and step."""

from __future__ import annotations

import pytest

from bela_module.protocol.variables import ValueType, Variable
from bela_module.streams.shared_streams import membership_hash, share_streams
from bela_module.validation import Group


def variables(count: int, value_type: ValueType = ValueType.FLOAT) -> list[Variable]:
    return [Variable(index, f"{value_type.value}{index}", value_type) for index in range(count)]


def names(shared: dict[str, tuple[Variable, ...]]) -> dict[str, list[str]]:
    return {name: [v.name for v in members] for name, members in shared.items()}


def steps_of(listed: list[Variable], step: float = 1.0) -> dict[str, float]:
    return {variable.name: step for variable in listed}


@pytest.mark.parametrize(
    ("count", "group", "shares"),
    [(16, "auto", False), (17, "auto", True), (100, "none", False), (1, "all", True)],
)
def test_the_number_decides_unless_it_is_asked(count: int, group: Group, shares: bool) -> None:
    listed = variables(count)
    shared = share_streams(listed, steps_of(listed), group)
    assert names(shared) == ({"float32": [v.name for v in listed]} if shares else {})


def test_formats_and_steps_are_apart() -> None:
    floats, ints = variables(4), variables(2, ValueType.INT)
    doubles, unsigned = variables(1, ValueType.DOUBLE), variables(1, ValueType.UNSIGNED_INT)
    steps = steps_of([*floats, *ints, *doubles, *unsigned]) | {"f1": 2.0, "f3": 2.0}
    shared = share_streams([*floats, *ints, *doubles, *unsigned], steps, "all")
    assert names(shared) == {
        "float32_step1": ["f0", "f2"],
        "float32_step2": ["f1", "f3"],
        "int32": ["i0", "i1"],
        "double64": ["d0", "j0"],
    }


def test_sparse_ones_and_those_of_unknown_step_are_left_out() -> None:
    listed = [*variables(2), Variable(2, "touch", ValueType.FLOAT, sparse=True)]
    steps = {"f0": 1.0, "touch": 1.0}
    assert names(share_streams(listed, steps, "all")) == {"float32": ["f0"]}


def test_other_members_are_another_stream() -> None:
    a, b = variables(2)
    assert membership_hash([a, b]) != membership_hash([b, a]) != membership_hash([a])
    assert membership_hash([a, b]) == membership_hash(list(variables(2)))
