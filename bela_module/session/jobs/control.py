"""SET, RELEASE and SEND, and other short jobs: control variables, mark ``set``, send a buffer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bela_module.connection.board_client import BoardClient
from bela_module.errors import ArgumentError, UnknownVariableError
from bela_module.protocol.control_channel import VariableList
from bela_module.protocol.control_commands import control_command, set_command, uncontrol_command
from bela_module.protocol.sketch_buffer import SketchBuffer, encode_buffer
from bela_module.protocol.variables import ValueType, Variable
from bela_module.requests import SendRequest, SetRequest
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import COMMAND_CONFIRM_S
from bela_module.streams.stream_plans import choose_variables, reachable
from bela_module.validation import named, printable_name


async def set_values(runtime: Runtime, client: BoardClient, request: SetRequest) -> str:
    """Take control of variables and set them, confirmed by the board."""
    known = {variable.name: variable for variable in reachable(runtime.board.variables)}
    missing = [name for name in request.values if name not in known]
    if missing:
        raise UnknownVariableError(missing, known)
    values = {name: _settable(known[name], value) for name, value in request.values.items()}
    names = list(values)
    runtime.inputs.yield_to_set(values.keys())
    # Taking control copies the sketch's value, so that a set before it would be lost.
    await take_control(
        runtime, client, [name for name in names if name not in runtime.changes.controlled]
    )
    await client.send(set_command(names, list(values.values())))
    await client.confirm(
        lambda listed: _have(listed, values), f"set {named(names)}", COMMAND_CONFIRM_S
    )
    set_s = runtime.now()
    for name, value in values.items():
        runtime.notices.mark(f"set {printable_name(name)}={value:.15g}", set_s)
    return "set " + ", ".join(f"{printable_name(n)}={value:.15g}" for n, value in values.items())


async def control(runtime: Runtime, client: BoardClient, names: Sequence[str] | None) -> str:
    """Take control of some variables, or of all, which keep their values until they are set."""
    chosen = [v.name for v in choose_variables(runtime.board.variables, names, runtime.settings)]
    await take_control(runtime, client, chosen)
    return f"controlling {named(chosen)}"


async def take_control(runtime: Runtime, client: BoardClient, names: Sequence[str]) -> None:
    """Take control of variables, confirmed by the board; they keep their values.

    Raises
    ------
    BoardError
        When the board does not confirm it.
    """
    if not names:
        return
    runtime.changes.take_control(names)
    await client.send(control_command(names))
    await client.confirm(
        lambda listed: all(v.controlled for v in reachable(listed.variables) if v.name in names),
        f"control of {named(names)}",
        COMMAND_CONFIRM_S,
    )


def _settable(variable: Variable, value: float) -> float:
    dtype, name = variable.value_type.dtype, printable_name(variable.name)
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        if abs(value) > float(limits.max):
            raise ArgumentError(f"{name} = {value}: a float holds up to {limits.max}")
        return value
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if not (low <= value <= high and float(value).is_integer()):
        raise ArgumentError(
            f"{name} = {value}: it is {variable.value_type.label}, which "
            f"takes whole numbers from {low} to {high}"
        )
    return value


def _have(listed: VariableList, wanted: Mapping[str, float]) -> bool:
    there = {variable.name: variable for variable in reachable(listed.variables)}
    return all(name in there and _same(there[name], value) for name, value in wanted.items())


def _same(variable: Variable, value: float) -> bool:
    stored = float(np.float64(value).astype(variable.value_type.dtype))
    # The board writes 15 significant digits.
    return math.isclose(variable.value, stored, rel_tol=1e-13, abs_tol=1e-300)


async def release(runtime: Runtime, client: BoardClient, names: Sequence[str] | None) -> str:
    """Give control back to the sketch: of some variables, or of all that the board lists so.

    Those may be of a module that was killed, or of another client.
    """
    if names is None:
        await runtime.prober.probe(client)  # what is controlled now
        listed = {variable.name for variable in runtime.board.variables if variable.controlled}
        return await _release(runtime, client, sorted(runtime.changes.controlled | listed))
    known = {variable.name for variable in runtime.board.variables}
    missing = [name for name in names if name not in known]
    if missing:
        raise UnknownVariableError(missing, sorted(known))
    return await _release(runtime, client, names)


async def release_ours(runtime: Runtime, client: BoardClient) -> str:
    """Give back what this session has taken, and leave alone what others have."""
    return await _release(runtime, client, sorted(runtime.changes.controlled))


async def _release(runtime: Runtime, client: BoardClient, names: Sequence[str]) -> str:
    known = {variable.name for variable in runtime.board.variables}
    runtime.changes.forget_missing(known)  # what is gone cannot be released
    chosen = frozenset(names) & known
    if not chosen:
        return "nothing was controlled"
    words = named(name for name in names if name in chosen)
    runtime.inputs.let_go(chosen)
    runtime.changes.ask_release(chosen)
    await client.send(uncontrol_command([name for name in names if name in chosen]))
    await client.confirm(
        lambda listed: not any(v.controlled for v in listed.variables if v.name in chosen),
        f"uncontrol of {words}",
        COMMAND_CONFIRM_S,
    )
    runtime.changes.released(chosen)
    return f"released {words}"


async def send(client: BoardClient, request: SendRequest) -> str:
    """Send a buffer of numbers to the sketch."""
    value_type = ValueType(request.type)
    data = np.asarray(request.data, dtype=np.float64)
    if value_type is ValueType.CHAR:
        data = np.mod(data, 256)  # a char is 8 bits, signed or not
    buffer = SketchBuffer(request.buffer_id, value_type, data)
    encode_buffer(buffer)
    await client.send_buffer(buffer)
    return (
        f"sent {data.size} values to buffer {request.buffer_id}; the board does not confirm them, "
        "nor that the sketch has such a buffer of this type"
    )
