"""What makes the delays of an input's commands worthless, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from bela_module.session.inputs.active_input import ActiveInput
from bela_module.session.inputs.states import InputState

_AHEAD_S: Final = 1.0  # more than any clock's measurement errs
_BEHIND_S: Final = 600.0
_MIN_UNANSWERED: Final = 3  # fewer may have come before the echo was watched


def stamp_hint(one: ActiveInput, stamp_s: float, now_s: float) -> str:
    """Tell that a sample's stamp is no time of LSL's clock.

    Parameters
    ----------
    one : ActiveInput
        Whose sample it is.
    stamp_s, now_s : float
        The stamp, corrected to this computer's clock, and that clock's present time.
    """
    ahead_s = stamp_s - now_s
    if -_BEHIND_S <= ahead_s <= _AHEAD_S:
        return ""
    words = "no times"
    if math.isfinite(ahead_s):
        words = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} LSL's clock"
    return (
        f"input {one.name}: its stamps are {words}, so that its delays mean nothing: the decoder "
        "should stamp with pylsl.local_clock(), or with the stamp of the data behind a value"
    )


def echo_hint(one: ActiveInput, streamed: Mapping[str, int] | None) -> str:
    """Tell that no command of an input is measured, and why.

    Parameters
    ----------
    one : ActiveInput
        The input.
    streamed : mapping of str to int, optional
        How many values the board may keep of each variable that streams whole; ``None`` when
        nothing streams.
    """
    echo, settings = one.settings.echo, one.settings
    if echo is None or streamed is None or one.state is not InputState.RECEIVING:
        return ""
    if echo not in streamed:
        return (
            f"input {one.name}: its commands are not measured, since {echo!r} does not stream: "
            "START it, too"
        )
    if one.account.unanswered < _MIN_UNANSWERED + streamed[echo]:
        return ""
    return (
        f"input {one.name}: none of its commands comes back in {echo!r}: the sketch must have "
        f"buffer {settings.buffer_id} of type {settings.type!r}, long enough for a number and the "
        f"values behind it, and copy the number to {echo!r}"
    )
