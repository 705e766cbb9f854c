"""PREPARE: surveys steps, plans streams, opens their outlets; START and SCHEDULE do so, too."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from bela_module.connection.board_client import BoardClient
from bela_module.errors import IdentityTakenError, RequestError, StreamError
from bela_module.protocol.variables import Variable
from bela_module.requests import PrepareRequest, ScheduleRequest, StartRequest
from bela_module.session.clock_stream import clock_outlet
from bela_module.session.delivery.prompt_state import PromptState
from bela_module.session.delivery.transport import tell_others
from bela_module.session.inputs.loop_stream import loop_outlet
from bela_module.session.jobs.other_watches import find_other_watches
from bela_module.session.preparation import Preparation
from bela_module.session.runtime import Runtime
from bela_module.session.states import SessionState
from bela_module.session.time_limits import (
    OUTLET_POLL_S,
    OUTLETS_VISIBLE_S,
    SCHEDULE_CLOCK_READY_S,
)
from bela_module.streams.shared_streams import MAX_SINGLE_STREAMS
from bela_module.streams.sink import StreamFacts
from bela_module.streams.stream_plans import (
    StreamMode,
    StreamPlan,
    choose_variables,
    may_come_singly,
    plan_streams,
)
from bela_module.validation import Group, named, printable_name

logger = logging.getLogger(__name__)


async def prepare(runtime: Runtime, client: BoardClient, request: PrepareRequest) -> str:
    """Open the outlets, visible to recorders, before any data.

    Raises
    ------
    RequestError
        When something else streams, there is no such variable, or the clock is not known.
    BoardError
        When the connection does not last.
    """
    variables, group = asked_streams(runtime, request)
    running = runtime.running
    if running.main is not None:
        names = {v.name for v in (*running.main.watched, *running.main.monitored)}
        if {variable.name for variable in variables} == names:
            return "already streaming"
        raise RequestError(f"{named(sorted(names))} streams already; STOP first")
    if running.prepared is not None and running.prepared.is_for(variables, group):
        return "already prepared"
    runtime.sink.search_identities()
    await client.open_data()
    await choose_prompt(runtime, client, variables)
    await runtime.prober.measure(client, SCHEDULE_CLOCK_READY_S)
    if not runtime.board.ready:
        raise RequestError("the board's clock is not known yet: does its sketch call tick()?")
    prepared = await open_streams(runtime, client, variables, group, data_follow=False)
    running.prepare(prepared)
    runtime.enter(SessionState.STREAMING if running else SessionState.PREPARED)
    return f"prepared {named(plan.name for plan in prepared.plans)}"


def asked_streams(
    runtime: Runtime, request: PrepareRequest | StartRequest | ScheduleRequest
) -> tuple[tuple[Variable, ...], Group]:
    """Choose what is to stream: what is asked for, else what is prepared, else as configured.

    Raises
    ------
    RequestError
        When the board has no such variable.
    """
    prepared, settings = runtime.running.prepared, runtime.settings
    group = request.group or (prepared.group if prepared else settings.streaming.group)
    names = request.variables
    if names is None and prepared is not None and not isinstance(request, PrepareRequest):
        names = tuple(variable.name for variable in prepared.variables)
    return choose_variables(runtime.board.variables, names, settings), group


async def choose_prompt(
    runtime: Runtime,
    client: BoardClient,
    variables: Sequence[Variable],
    *,
    is_hurried: bool = False,
) -> PromptState:
    """Choose whether values may come one by one, and how the steps are surveyed.

    Parameters
    ----------
    runtime : Runtime
        The session, whose latest list tells what others watch.
    client : BoardClient
        The connection.
    variables : sequence of Variable
        What is to stream.
    is_hurried : bool
        Whether there is no time to find out which watches are only left over: all count then.

    Raises
    ------
    BoardError
        When the connection does not last.
    """
    counts = Counter(variable.name for variable in runtime.board.variables)
    for name in [v.name for v in variables if counts[v.name] > 1]:
        runtime.notices.inform(
            f"{counts[name]} variables are called {printable_name(name)!r}: the first of them is "
            "streamed, for no command reaches the others"
        )
    wanted = runtime.settings.streaming.prompt == "auto" and runtime.options.obeys_ticks
    streaming = {v.name for delivery in runtime.running for v in delivery.watched}
    monitored = {v.name for delivery in runtime.running for v in delivery.monitored}
    others: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    if wanted and is_hurried:
        others = runtime.board.watched_by_others(streaming)
    elif wanted:
        others, left = await find_other_watches(runtime, client, streaming)
    if left:
        runtime.notices.inform(
            f"{named(left, 8)}: listed as watched, but nothing comes of it: left over, it seems"
        )
    if runtime.board.monitored_by_others(monitored):  # single values go to everybody already
        accepted, others = others, ()
    if others:
        tell_others(runtime.notices, others)
    runtime.surveyor.by_blocks = not wanted or bool(others)
    names = {variable.name for variable in variables}
    return PromptState(
        is_allowed=wanted and not others,
        takes_over=not names.isdisjoint(others),
        follows_others=wanted,
        accepted=frozenset(accepted),
        left_over=frozenset(left),
        only_unknown=runtime.options.prefers_blocks,
    )


async def open_streams(
    runtime: Runtime,
    client: BoardClient,
    variables: Sequence[Variable],
    group: Group,
    *,
    data_follow: bool = True,
) -> Preparation:
    """Plan the streams of some variables and open their outlets, unless that is done already.

    Parameters
    ----------
    runtime : Runtime
        The session.
    client : BoardClient
        The connection.
    variables : sequence of Variable
        What is to stream.
    group : {"auto", "none", "all"}
        Whether variables share streams.
    data_follow : bool
        Whether data come at once: the rate of a stream may then show in its first blocks.

    Raises
    ------
    RequestError
        When another process publishes a stream of the same identity.
    BoardError
        When the connection does not last.
    """
    prepared, board = runtime.running.prepared, runtime.board
    if prepared is not None and prepared.is_for(variables, group):
        return prepared
    await client.open_data()
    watched = plan_streams(variables, runtime.settings)
    surveyed = [v for p in watched if p.mode is StreamMode.DENSE for v in p.variables]
    share = group == "all" or (group == "auto" and len(surveyed) > MAX_SINGLE_STREAMS)
    if not runtime.options.obeys_ticks:
        surveyed = []  # a recording answers no survey
    await runtime.surveyor.find_steps(client, surveyed, hurried=True, share=share)
    if runtime.options.obeys_ticks and not runtime.options.prefers_blocks:
        single = [p for p in watched if p.mode is StreamMode.SPARSE and may_come_singly(p)]
        await runtime.surveyor.find_fast(client, [v for p in single for v in p.variables])
    await runtime.prober.measure(client)
    plans = plan_streams(variables, runtime.settings, group=group, steps=board.steps)
    shared = [plan.name for plan in plans if plan.membership]
    if shared and group == "auto":
        logger.info(
            "%d variables share the streams %s, for they are more than %d; group = 'none' gives "
            "each its own",
            sum(len(plan.variables) for plan in plans if plan.membership),
            named(shared),
            MAX_SINGLE_STREAMS,
        )
    facts: dict[str, StreamFacts] = {}
    for plan in plans:
        step_ticks = _proven_step(runtime, plan)
        known = plan.mode is not StreamMode.DENSE or step_ticks is not None
        if board.ready and (known or not data_follow):
            facts[plan.name] = board.facts(plan, step_ticks)
    opening = clock_outlet(runtime) | loop_outlet(runtime.settings, board, runtime.inputs)
    opening |= {p.name: (p, facts[p.name]) for p in plans if p.name in facts}
    problems = await _open_outlets(runtime, opening)
    if not runtime.surveyor.by_blocks:  # those that take longer, and will not come singly
        in_blocks = {v for p in plans if not may_come_singly(p) for v in p.variables}
        late = surveyed if runtime.options.prefers_blocks else in_blocks.intersection(surveyed)
        await runtime.surveyor.find_steps(client, late)
    return Preparation(tuple(variables), group, plans, facts, problems)


def _proven_step(runtime: Runtime, plan: StreamPlan) -> float | None:
    board = runtime.board
    steps = [board.steps.get(v.name) if v.name in board.proven else None for v in plan.variables]
    known = [step for step in steps if step is not None]
    return min(known) if len(known) == len(steps) else None


async def _open_outlets(
    runtime: Runtime, opening: dict[str, tuple[StreamPlan, StreamFacts]]
) -> tuple[str, ...]:
    """Open outlets, wait until others can find them, and tell which could not be opened.

    Raises
    ------
    RequestError
        When another process publishes a stream of the same identity.
    """
    for plan, facts in opening.values():
        runtime.sink.open(plan, facts)
    problems: list[str] = []
    until_s = runtime.now() + OUTLETS_VISIBLE_S
    while opening and runtime.now() < until_s:
        for name, (plan, _) in list(opening.items()):
            try:
                if runtime.sink.is_open(plan):
                    del opening[name]
            except IdentityTakenError as error:
                raise RequestError(str(error)) from error
            except StreamError as error:
                del opening[name]
                problems.append(f"{name}: {error}")
                runtime.notices.tell(problems[-1], cause=error)
        if opening:
            await asyncio.sleep(OUTLET_POLL_S)
    for name in opening:
        problems.append(f"{name}: LSL did not open the stream in {OUTLETS_VISIBLE_S} s")
        runtime.notices.tell(problems[-1])
    return tuple(problems)
