"""What a parameter may be is said once, and checked, read and explained from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest

from bela_module.errors import RequestError
from bela_module.simulator.parameters import (
    Choice,
    NumberRange,
    VariableName,
    VariableNames,
    WholeRange,
    check_parameters,
    parameters_of,
    variables_named_by,
)


@dataclass(frozen=True, slots=True)
class Weather:
    """A thing with a parameter of every kind."""

    wind_s: Annotated[float, NumberRange(0.5, 10, "s", or_zero=True), "how long it blows"] = 0.0
    drops: Annotated[int, WholeRange(0, 100), "how many"] = 0
    sky: Annotated[Literal["blue", "grey"], "its colour"] = "blue"
    cold: bool = False
    where: str = ""
    place: Annotated[str, Choice(("", "here"))] = ""
    one: Annotated[str, VariableName()] = ""
    many: Annotated[str, VariableNames()] = ""

    def __post_init__(self) -> None:
        check_parameters(self, "the weather")


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("wind_s", 0.4, "0, or 0.5 to 10 s"),
        ("wind_s", float("nan"), "0, or 0.5 to 10 s"),
        ("wind_s", float("inf"), "0, or 0.5 to 10 s"),
        ("wind_s", True, "0, or 0.5 to 10 s"),
        ("wind_s", "1", "0, or 0.5 to 10 s"),
        ("drops", -1, "a whole number, 0 to 100"),
        ("drops", 1.0, "a whole number, 0 to 100"),
        pytest.param("drops", 10**5000, "a whole number, 0 to 100", id="drops-huge"),
        ("sky", "green", "one of blue, grey"),
        ("cold", 1, "true or false"),
        ("where", 1, "text"),
        ("place", "there", "one of (empty), here"),
        ("one", 1, "a variable of the sketch, or empty for all"),
        ("many", None, "variables of the sketch, joined by +, or empty for all"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(
    key: str, value: object, allowed: str
) -> None:
    with pytest.raises(RequestError) as refused:
        Weather(**{key: value})
    message = str(refused.value)
    assert message.startswith(f"{key}=")
    assert message.endswith(f" of the weather: it must be {allowed}")


def test_right_values_are_taken() -> None:
    Weather(0, 100, "grey", True, "x", "here", "a", "a+b")
    Weather(np.float64(0.5), np.int64(3))
    Weather(wind_s=10)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("wind_s", "1e0", 1.0),
        ("drops", "7", 7),
        ("sky", "grey", "grey"),
        ("cold", "True", True),
        ("cold", "0", False),
        ("where", "a:b=c", "a:b=c"),
    ],
)
def test_text_is_read(key: str, text: str, value: object) -> None:
    read = parameters_of(Weather)[key].read(text, "the weather")
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("wind_s", "much"),
        ("wind_s", "nan"),
        ("drops", "1.5"),
        pytest.param("drops", "9" * 5000, id="drops-huge"),
        ("cold", "maybe"),
        ("sky", ""),
    ],
)
def test_wrong_text_is_refused(key: str, text: str) -> None:
    with pytest.raises(RequestError, match=f"^{key}=.* of the weather: it must be "):
        parameters_of(Weather)[key].read(text, "the weather")


def test_parameters_explain_themselves_in_their_order() -> None:
    parameters = parameters_of(Weather)
    assert list(parameters)[:3] == ["wind_s", "drops", "sky"]
    assert parameters["wind_s"].meaning == "how long it blows"
    assert parameters["sky"].meaning == "its colour"
    assert parameters["cold"].default is False


def test_names_of_variables_are_found() -> None:
    assert list(variables_named_by(Weather(where="x", one="a", many="b+c"))) == ["a", "b", "c"]
    assert list(variables_named_by(Weather(many="b+"))) == ["b", ""]
    assert list(variables_named_by(Weather())) == []
