"""An input without an inlet and without a session: a test is both."""

from __future__ import annotations

from typing import Any

import numpy as np

from bela_module.input_settings import InputSettings
from bela_module.inputs.input_mapping import InputStreamFacts
from bela_module.session.inputs.active_input import ActiveInput, BoardMessage

NUMBERS = InputStreamFacts(("a", "b"), host="lab")


class Made:
    """An input whose thread and session's thread are this one."""

    def __init__(self, **fields: Any) -> None:
        table = {"stream": "x", "buffer_id": 0, "channels": 0, **fields}
        if "variables" in fields:
            del table["buffer_id"]
        self.told: list[str] = []
        self.woken = 0
        self.one = ActiveInput(
            "level",
            InputSettings.model_validate(table),
            post=lambda function: function(),
            wake=self._wake,
            on_change=lambda _one, text: self.told.append(text),
            first_number=41,
        )

    def _wake(self) -> None:
        self.woken += 1

    def found(self, facts: InputStreamFacts = NUMBERS, n_others: int = 0) -> Made:
        self.one.stream_found(facts, n_others)
        return self

    def put(self, *values: float) -> None:
        samples = np.array([[value, 9.0] for value in values])
        self.one.take_samples(samples, np.arange(len(values)) + 100.0)

    def messages(self) -> list[BoardMessage]:
        given: list[BoardMessage] = []
        while self.one.has_more:
            if (message := self.one.next_message()) is not None:
                given.append(message)
        return given

    def sent(self) -> list[list[float] | None]:
        return [None if m.values is None else m.values.tolist() for m in self.messages()]
