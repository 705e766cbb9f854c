"""One connected input: its stream's samples on their way to the board, its state and its counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bela_module.errors import RequestError
from bela_module.input_settings import InputFields, OnMissing
from bela_module.inputs.input_mapping import InputMapping, InputStreamFacts, MappedRows, Refused
from bela_module.inputs.loop_account import LoopAccount, next_number
from bela_module.protocol.sketch_buffer import MAX_BUFFER_BYTES
from bela_module.protocol.variables import ValueType
from bela_module.session.inputs.states import InputState, input_state_machine
from bela_module.session.inputs.waiting_samples import Samples, WaitingSamples

_HEADER_VALUES: Final = 8  # room for the header of a buffer and the number, in values of any type


@dataclass(frozen=True, slots=True, eq=False)
class BoardMessage:
    """What is to go to the board next.

    Parameters
    ----------
    values : ndarray of shape (n_values,), optional
        Numbers; ``None`` to give control back.
    stamp_s : float
        When their input was stamped, in LSL seconds; NaN for what is no sample.
    number : int
        Sequence number, 0 without one.
    ending : {"default", "release"}, optional
        That it is what is configured for the end of the stream, or gives control back.
    n_samples : int
        Samples that it carries.
    """

    values: np.ndarray[Any, Any] | None
    stamp_s: float
    number: int = 0
    ending: OnMissing | None = None
    n_samples: int = 0


class ActiveInput:
    """An input that was connected; its methods belong to the session's thread unless told.

    It is the listener of an inlet, which calls from its own thread; what that changes of the state
    is passed to the session's thread.

    Parameters
    ----------
    name : str
        Its name.
    settings : InputFields
        With a stream.
    post : callable
        Has a function called in the session's thread; from any thread.
    wake : callable
        Has the sender look for samples; from any thread.
    on_change : callable
        Is told of each change of state, and of why, in the session's thread.
    first_number : int
        Number of its first command.
    loop_number : int
        Number of the input in ``bela_loop``.

    Attributes
    ----------
    sent, refused : int
        Messages that went to the board; samples that gave no value.
    hints : dict of str to str
        What else is wrong now, in words, by what it concerns.
    has_control : bool
        Whether it drives its variables, which are to be controlled for that: from its first value
        on, until they are released.
    """

    def __init__(
        self,
        name: str,
        settings: InputFields,
        *,
        post: Callable[[Callable[[], None]], None],
        wake: Callable[[], None],
        on_change: Callable[[ActiveInput, str], None],
        first_number: int = 1,
        loop_number: int = 0,
    ) -> None:
        if settings.stream is None:
            raise RequestError(f"input {name}: stream is required and missing")
        self.name = name
        self.settings = settings
        self.stream = settings.stream
        self.waiting = WaitingSamples()
        self.account = LoopAccount()
        self.loop_number = loop_number
        self.sent = 0
        self.refused: Counter[Refused] = Counter()
        self.has_control = False
        self.hints: dict[str, str] = {}
        self.problem = f"input {name}: no stream {self.stream} is there yet"
        self.is_leaving = False
        """Whether it is to be forgotten once nothing of it waits any more."""
        self.resends = False
        """Whether the board has to be told the latest values again."""
        self._post = post
        self._wake = wake
        self._on_change = on_change
        self._machine = input_state_machine(name, lambda: None)
        self._mapping: InputMapping | None = None
        self._facts: InputStreamFacts | None = None
        self._ending: OnMissing | None = None
        self._last: BoardMessage | None = None
        self._number = first_number

    @property
    def state(self) -> InputState:
        """What it is doing."""
        return self._machine.state

    @property
    def value_types(self) -> tuple[ValueType, ...]:
        """Of the buffer; variables' own types are not known before they are set."""
        return (ValueType.DOUBLE if self.settings.variables else ValueType(self.settings.type),)

    # ---- in the inlet's thread --------------------------------------------------------------

    def stream_found(self, facts: InputStreamFacts, n_others: int) -> None:
        """Learn of the stream; refuse it when it is not what the settings say."""
        mapping = InputMapping(self.settings, facts, self.value_types)
        if self.settings.per == "chunk":
            size = self.value_types[0].dtype.itemsize
            most = MAX_BUFFER_BYTES // size - max(_HEADER_VALUES, 16 // size + 1)
            self.waiting.hold_at_most(max(1, most // mapping.n_values))
        self._post(lambda: self._begin(mapping, facts, n_others))

    def stream_refused(self, reason: str) -> None:
        """Learn that the stream cannot be used."""
        text = f"input {self.name}: the stream {self.stream} cannot be used: {reason}"
        self._post(lambda: self._move(InputState.REFUSED, text))

    def take_samples(self, samples: Samples, stamps_s: np.ndarray[Any, Any]) -> None:
        """Keep the latest samples for the sender, and wake it."""
        if self.waiting.put(samples, stamps_s):
            self._wake()

    def samples_dropped(self, n_samples: int) -> None:
        """Count samples that came and are not given."""
        self.waiting.count_unseen(n_samples)

    def stream_ended(self, reason: str) -> None:
        """Learn that the stream has ended."""
        self._post(lambda: self._end_of_stream(reason))

    # ---- its course -------------------------------------------------------------------------

    def _begin(self, mapping: InputMapping, facts: InputStreamFacts, n_others: int) -> None:
        if self.state is InputState.STOPPED:
            return
        self._mapping, self._facts, self._ending = mapping, facts, None
        rate = f"{facts.nominal_rate_hz:g} Hz" if facts.nominal_rate_hz else "irregular"
        text = f"input {self.name}: receives {self.stream} from {facts.host} ({rate})"
        if n_others:
            text += f"; {n_others} more are called so: name its source_id to be sure"
        self._move(InputState.RECEIVING, text)

    def _end_of_stream(self, reason: str) -> None:
        if self.state is InputState.REFUSED:  # what was wrong with it is over
            text = f"input {self.name}: no stream {self.stream} is there any more"
            self._move(InputState.SEARCHING, text)
        if self.state is not InputState.RECEIVING:
            return
        self.hints.pop("stamps", None)
        words = self._end_driving()
        text = (
            f"input {self.name}: the stream {self.stream} has ended ({reason.rstrip('.')}); "
            f"{words}; it goes on when the stream is back"
        )
        self._move(InputState.SEARCHING, text)

    def stop(self, why: str, *, is_away: bool = False, sends_end: bool = True) -> None:
        """End it: what is configured for the end of its stream comes true.

        Parameters
        ----------
        why : str
            The reason, in words.
        is_away : bool
            Whether the board cannot be told now.
        sends_end : bool
            Whether it still drives what it is to leave.
        """
        if self.state is InputState.STOPPED:
            return
        self.waiting.drop()
        words = self._end_driving() if sends_end else "nothing more is sent"
        if not sends_end:
            self._ending = None
        elif is_away and self._ends:
            words += " once the board is back"
        self._move(InputState.STOPPED, f"input {self.name}: {why}; {words}")

    def _end_driving(self) -> str:
        """Have come true what is configured for the end, and give it in words."""
        if not self._is_driving:
            return "its variables were released" if self.sent else "it had sent nothing"
        self._ending = self.settings.on_end
        if self._ends:
            self.waiting.drop()
            self._wake()
        return self.end_in_words

    @property
    def _is_driving(self) -> bool:
        """Whether anything on the board is as it says; a buffer is from the stream's begin on."""
        if self.settings.variables:
            return self.has_control or self._last is not None
        return self._last is not None or self.state is InputState.RECEIVING

    @property
    def _ends(self) -> bool:
        """Whether what is configured for the end has still to be sent."""
        return self._ending is not None and self._ending != "hold"

    @property
    def end_in_words(self) -> str:
        """What becomes of what it drives when its stream ends."""
        return {
            "hold": "the latest value is held",
            "default": f"the default {list(self.settings.default)} is sent",
            "release": "control is given back to the sketch",
        }[self.settings.on_end]

    def _move(self, state: InputState, text: str) -> None:
        if self.state is InputState.STOPPED or (state is self.state and text == self.problem):
            return  # it is over, or told already
        self.problem = "" if state in (InputState.RECEIVING, InputState.STOPPED) else text
        if state is InputState.STOPPED:
            self.hints.clear()
        self._machine.move_to(state)
        self._on_change(self, text)

    def hint(self, about: str, text: str) -> bool:
        """Note what is wrong, or nothing with an empty text; tell whether it is new."""
        is_new = bool(text) and about not in self.hints
        if is_new:
            self.hints[about] = text
        elif not text:
            self.hints.pop(about, None)
        return is_new

    # ---- what goes to the board -------------------------------------------------------------

    @property
    def has_more(self) -> bool:
        """Whether anything waits for the board."""
        if self.state is InputState.STOPPED:
            self.waiting.drop()  # what came while it was stopped
        return self._ends or bool(self.waiting) or self._sends_again

    @property
    def _sends_again(self) -> bool:
        return self.resends and self._last is not None and self.state is not InputState.STOPPED

    @property
    def needs_control(self) -> bool:
        """Whether the board is to keep its variables controlled for it."""
        is_over = self.state is InputState.STOPPED and self._ending != "default"
        return self.has_control and not is_over

    def claim_control(self) -> bool:
        """Tell whether what waits needs control of its variables: a value, and the default do."""
        if self._ending == "release" and not self.waiting:
            return False
        if not self.has_control:
            self.has_control = self._ending == "default" or self._gives_value()
        return self.has_control

    def _gives_value(self) -> bool:
        waiting = self.waiting.look()
        if not waiting or self._mapping is None:
            return False
        return bool(self._map_samples(self._mapping, waiting).rows.size)

    def let_go(self, names: AbstractSet[str]) -> None:
        """Learn that control of some variables is given back, until the next sample takes it."""
        if names.isdisjoint(self.settings.variables):
            return
        self.waiting.drop()
        self.has_control, self.resends, self._last = False, False, None
        if self._ending == "default":
            self._ending = None

    def yield_to_set(self, names: AbstractSet[str]) -> None:
        """Learn that some variables were set by somebody, whom one that is over leaves alone."""
        if self.state is InputState.STOPPED and not names.isdisjoint(self.settings.variables):
            self._ending, self.has_control = None, False

    def give_up_end(self) -> bool:
        """Leave out what is configured for the end; tell whether it was still to be sent."""
        had_to, self._ending = self._ends, None
        return had_to

    @property
    def is_urgent(self) -> bool:
        """Whether what waits must not be dropped, although the board is away."""
        return bool(self.settings.variables) or not self.waiting

    def next_message(self) -> BoardMessage | None:
        """Take what is to go to the board; ``None`` when nothing of it is to be sent."""
        if (taken := self.waiting.take()) is not None:
            return self._map(*taken)
        ending, self._ending = self._ending, None
        if ending == "release":
            return self._release()
        if ending == "default":
            return self._default()
        if self._last is not None and self._sends_again:
            self.resends = False
            return self._numbered(self._last.values, self._last.stamp_s)
        return None

    def note_unsent(self, message: BoardMessage) -> int:
        """Learn that a message could not be sent; return how many samples are dropped with it.

        Endings and values of variables are tried again, samples for a buffer are not.
        """
        if message.ending is not None:
            self._ending = self._ending or message.ending
        elif self.settings.variables:
            self.resends = True
        else:
            self.waiting.count_dropped(message.n_samples)
            return message.n_samples
        return 0

    def _map(self, samples: list[Any], stamp_s: float) -> BoardMessage | None:
        if self._mapping is None:
            self.waiting.count_dropped(len(samples))
            return None
        mapped = self._map_samples(self._mapping, samples)
        self.refused.update(mapped.refused)
        if mapped.releases:
            return self._release() if self.has_control else None
        if not mapped.rows.size:
            return None
        self.resends = False
        if self.state is InputState.RECEIVING:
            self._ending = None  # of before
        self.has_control = bool(self.settings.variables)
        return self._numbered(mapped.rows.ravel(), stamp_s, n_samples=len(mapped.rows))

    def _map_samples(self, mapping: InputMapping, samples: list[Any]) -> MappedRows:
        if self.settings.markers:
            return mapping.map_texts(samples)
        return mapping.map_numbers(np.array(samples))

    def _default(self) -> BoardMessage | None:
        default = self._mapping.default if self._mapping is not None else None
        return None if default is None else self._numbered(default, float("nan"), "default")

    def _release(self) -> BoardMessage:
        self.has_control = False
        self._last = None
        return BoardMessage(None, float("nan"), ending="release")

    def _numbered(
        self,
        values: np.ndarray[Any, Any] | None,
        stamp_s: float,
        ending: OnMissing | None = None,
        n_samples: int = 0,
    ) -> BoardMessage:
        number = 0
        if self.settings.echo is not None:
            number, self._number = self._number, next_number(self._number)
        self._last = BoardMessage(values, stamp_s, number, ending, n_samples)
        return self._last

    def status(self, now_s: float) -> dict[str, Any]:
        """Describe it as STATUS does."""
        waiting, last = self.waiting, self._last
        stamp_s = waiting.last_stamp_s
        values = last.values if last is not None else None
        described: dict[str, Any] = {
            "name": self.name,
            "stream": self.stream.name or self.stream.as_predicate,
            "state": self.state.value,
            "destination": self.destination,
            "samples": waiting.received,
            "sent": self.sent,
            "dropped": waiting.dropped,
            "refused": sum(self.refused.values()),
            "age_s": _age(stamp_s, now_s),
            "values": None if values is None else [float(value) for value in values[:16]],
        }
        if self.settings.echo is not None:
            described["loop"] = {
                "echo": self.settings.echo,
                "input": self.loop_number,
                **self.account.status(),
            }
        return described

    @property
    def destination(self) -> str:
        """What it drives, in words."""
        names: Sequence[str] = self.settings.variables
        return f"buffer {self.settings.buffer_id}" if not names else ", ".join(names)


def _age(stamp_s: float | None, now_s: float) -> float | None:
    """Give the age of a stamp; a stream may have NaN or infinity for one."""
    return None if stamp_s is None or not math.isfinite(stamp_s) else round(now_s - stamp_s, 4)
