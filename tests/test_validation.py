"""The words for what is wrong, and the field types that settings and requests share."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from bela_module.validation import Names, describe_errors, shown


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    names: Names = ()


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    table: dict[str, Inner] = {}
    maybe: Inner | None = None


@pytest.mark.parametrize(
    "value", ["x" * 10_000, list(range(1000)), [10**6000], {"\N{SNOWMAN}": "\x00\n"}, None]
)
def test_values_are_shown_short_and_plain(value: object) -> None:
    text = shown(value)
    assert text
    assert len(text) <= 60
    assert text.isascii()
    assert text.isprintable()


def test_names_alone_and_in_lists() -> None:
    assert Inner.model_validate({"names": "a"}).names == ("a",)
    assert Inner.model_validate({"names": ["a", "b"]}).names == ("a", "b")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tabel": {}}, ["tabel: unknown key; did you mean table? allowed: table, maybe"]),
        (
            {"table": {"x": {"name": 1}}},
            ["table.x.name: unknown key; did you mean names? allowed: names"],
        ),
        ({"maybe": {"xyz": 1}}, ["maybe.xyz: unknown key; allowed: names"]),
        (
            {"table": 1, "maybe": 2},
            [
                "table = 1: must be a table of keys and values",
                "maybe = 2: must be a table of keys and values",
            ],
        ),
        ({"table": {"x": {"names": {}}}}, ["table.x.names: must be a list"]),
        ({"table": {"x": {"names": [1]}}}, ["table.x.names.0 = 1: must be a text"]),
    ],
)
def test_each_fault_is_worded(given: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert describe_errors(caught.value, Outer) == words
