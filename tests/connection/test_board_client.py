"""The client against a simulated board, and against servers that are none."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bela_module.connection.board_client import BoardClient
from bela_module.errors import DisconnectedError, NoReplyError
from bela_module.protocol.control_commands import (
    CONNECTION_REPLY,
    control_command,
    list_command,
    monitor_command,
    set_command,
    unwatch_command,
    watch_command,
)
from bela_module.protocol.data_channel import Block
from bela_module.protocol.data_decoder import DataDecoder
from bela_module.protocol.sketch_buffer import SketchBuffer
from bela_module.protocol.variables import ValueType
from bela_module.simulator.network.delays import LinkDelay, Network
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.board_clients import PATIENCE_S, connect, connected, eventually, run

SHORT_S = 0.5
EVENT = '{"event":"connection","projectName":"imposter"}'
LISTING = '{"watcher":{"sampleRate":1,"timestamp":2,"watchers":[]}}'

Arrivals = list[tuple[bytes | str, float]]


# ---- the handshake -----------------------------------------------------------------------------


def test_the_handshake_learns_the_project_and_answers_once() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            assert client.project == "potentiometers"
            assert client.address == board.url
            await client.list()
            assert list(board.control_messages).count(CONNECTION_REPLY) == 1
            assert board.control_messages[0] == CONNECTION_REPLY
            assert board.n_clients == 2

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_list_tells_the_variables_and_when_it_was_asked() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            before_tick, before_s = board.tick_now(), local_clock()
            reply = await client.list()
            assert before_s <= reply.sent_s <= reply.received_s <= local_clock()
            listed = reply.variable_list
            assert before_tick <= listed.tick <= board.tick_now()
            assert listed.sample_rate_hz == 44100.0
            names = [variable.name for variable in listed.variables]
            assert names == ["pot1", "pot2"]

    with SimulatedBoard("potentiometers", clock=local_clock) as board:
        run(scenario())


def test_the_times_of_a_reply_enclose_the_delay_of_the_way() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            reply = await client.list()
            assert reply.received_s - reply.sent_s >= 0.06

    with SimulatedBoard("potentiometers", delay_s=0.03) as board:
        run(scenario())


def test_requests_made_at_once_are_each_answered() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            replies = await asyncio.gather(*(client.list() for _ in range(5)))
            times_s = [time for reply in replies for time in (reply.sent_s, reply.received_s)]
            assert times_s == sorted(times_s)
            assert client.counters.foreign_replies == 0

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


# ---- commands and data -------------------------------------------------------------------------


def test_watched_values_arrive_until_unwatch_is_confirmed() -> None:
    arrivals: Arrivals = []

    async def scenario() -> None:
        began_s = local_clock()
        async with connected(board, on_data=lambda *arrival: arrivals.append(arrival)) as client:
            variables = (await client.list()).variable_list.variables
            await client.send(watch_command(["ramp_d", "ramp_sparse"]))
            await eventually(lambda: len(arrivals) > 20, "20 messages")
            reply = await client.unwatch(["ramp_d", "ramp_sparse"], PATIENCE_S)
            assert not any(variable.watched for variable in reply.variable_list.variables)
            assert board.watched_names() == []
            sent = sum(board.account(name).sent for name in ("ramp_d", "ramp_sparse"))

            def blocks() -> list[Block]:
                decoder = DataDecoder(variables)
                results = [decoder.receive(message) for message, _ in arrivals]
                return [result for result in results if isinstance(result, Block)]

            await eventually(
                lambda: sum(block.values.size for block in blocks()) >= sent > 0,
                "all that was sent",
            )
            assert len(blocks()) * 2 == len(arrivals)
            assert {block.variable.name for block in blocks()} == {"ramp_d", "ramp_sparse"}
            times_s = [arrived_s for _, arrived_s in arrivals]
            assert times_s == sorted(times_s)
            assert began_s < times_s[0]
            assert client.last_received_s >= times_s[-1]

    with SimulatedBoard("ramps") as board:
        run(scenario())


def test_what_an_earlier_client_left_is_seen_and_can_be_cleared() -> None:
    async def scenario() -> None:
        async with connected(board) as earlier:
            await earlier.send(watch_command(["pot1"]), monitor_command(["pot2"], [100]))
            await earlier.confirm(
                lambda listed: listed.variables[0].watched, "watch of pot1", PATIENCE_S
            )
        async with connected(board) as client:
            first, second = (await client.list()).variable_list.variables
            assert first.watched
            assert second.monitor_period_ticks == 100
            await client.send(monitor_command(["pot2"], [0]))
            await client.unwatch(["pot1"], PATIENCE_S)
            assert board.watched_names() == []
            assert board.monitored() == {}

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_commands_act_in_their_order() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            await client.send(control_command(["ramp_d"]), set_command(["ramp_d"], [0.25]))
            reply = await client.confirm(
                lambda listed: listed.variables[0].controlled, "control", PATIENCE_S
            )
            assert reply.variable_list.variables[0].value == 0.25
            assert board.controlled_values() == {"ramp_d": 0.25}

    with SimulatedBoard("ramps") as board:
        run(scenario())


def test_data_that_was_paused_can_be_resumed() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            await client.activate()
            await client.list()
            assert list(board.control_messages)[1] == '{"event":"active"}'

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_a_long_command_reaches_the_board_in_pieces_that_it_takes() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            unknown = [f"a_variable_with_a_long_name_{k}" for k in range(1000)]
            await client.send(monitor_command(["v0", *unknown, "v129"], [7000] * 1002))
            await client.list()
            assert board.monitored() == {"v0": 7000, "v129": 7000}
            assert max(map(len, board.control_messages)) < 16_000

    with SimulatedBoard("many") as board:
        run(scenario())


def test_a_buffer_reaches_the_sketch() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            await client.send_buffer(SketchBuffer(3, ValueType.FLOAT, np.array([0.5, -1.0])))
            await eventually(lambda: board.received_buffers, "the buffer")

    with SimulatedBoard("potentiometers") as board:
        run(scenario())
        (buffer,) = board.received_buffers
    assert (buffer.buffer_id, buffer.value_type) == (3, ValueType.FLOAT)
    assert buffer.values.tolist() == [0.5, -1.0]


def test_what_the_board_does_not_do_is_told_with_what_was_asked() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            with pytest.raises(NoReplyError, match=r"'watch of pot9' .* in 0\.1 s"):
                await client.confirm(lambda _listed: False, "watch of pot9", 0.1)

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_every_message_can_be_recorded() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.connections = 0
            self.messages: list[tuple[str, str, str | bytes]] = []

        def begin_connection(self) -> None:
            self.connections += 1

        def record(self, channel: str, direction: str, message: str | bytes) -> None:
            self.messages.append((channel, direction, message))

    async def scenario() -> None:
        async with connected(board, recorder=recorder) as client:
            await client.send(watch_command(["pot1"]))
            await eventually(
                lambda: any(m[:2] == ("data", "in") for m in recorder.messages), "data"
            )
            await client.unwatch(["pot1"], PATIENCE_S)
            await client.send_buffer(SketchBuffer(0, ValueType.INT, np.array([1])))

    recorder = Recorder()
    with SimulatedBoard("potentiometers") as board:
        run(scenario())
        sent = [
            text for channel, way, text in recorder.messages if (channel, way) == ("control", "out")
        ]
        assert sent == list(board.control_messages)
    assert recorder.connections == 1
    assert recorder.messages[0][:2] == ("control", "in")
    assert {message[:2] for message in recorder.messages} == {
        ("control", "in"),
        ("control", "out"),
        ("data", "in"),
        ("data", "out"),
    }


# ---- other clients -----------------------------------------------------------------------------


def test_other_clients_are_counted_and_change_nothing() -> None:
    async def scenario() -> None:
        async with connected(board) as ours, connected(board) as theirs:
            await eventually(lambda: ours.counters.other_clients == 1, "their connection")
            await theirs.list()
            await eventually(lambda: ours.counters.foreign_replies == 1, "their reply")
            reply = await ours.list()
            assert len(reply.variable_list.variables) == 2
            assert theirs.counters.other_clients == 0
            assert ours.counters.bad_frames == 0
        assert not theirs.counters.bad_frames

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


# ---- the end of a connection -------------------------------------------------------------------


def test_close_leaves_nothing_and_does_no_harm_twice() -> None:
    async def scenario() -> None:
        client = await connect(board.port)
        await client.close()
        await client.close()
        assert client.lost.done()
        assert client.failure is None
        await eventually(lambda: board.n_clients == 0, "both connections ended")
        with pytest.raises(DisconnectedError):
            await client.list()
        with pytest.raises(DisconnectedError):
            await client.send(list_command())
        with pytest.raises(DisconnectedError):
            await client.send_buffer(SketchBuffer(0, ValueType.INT, np.array([1])))

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


@pytest.mark.parametrize("clean", [False, True], ids=["without close frame", "with close frame"])
def test_the_end_of_the_connection_is_noticed_and_told(clean: bool) -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            board.disconnect(clean=clean)
            async with asyncio.timeout(PATIENCE_S):
                assert await client.lost
            with pytest.raises(DisconnectedError, match="is gone"):
                await client.list()
            assert client.failure is None

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_a_request_under_way_ends_with_the_connection() -> None:
    async def scenario() -> None:
        async with connected(board) as client:
            board.go_silent(True)
            request = asyncio.create_task(client.list())
            await asyncio.sleep(0.05)
            assert not request.done()
            board.disconnect()
            with pytest.raises(DisconnectedError, match="is gone"):
                await request

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_a_half_open_connection_is_told_in_time_and_closes_in_time() -> None:
    async def scenario() -> None:
        async with connected(board, timeout_s=SHORT_S) as client:
            board.go_silent(True)
            with pytest.raises(NoReplyError, match=r"'list' from ws://.*/gui_control in 0\.5 s"):
                await client.list()
            assert not client.lost.done()
            board.go_silent(False)
            await client.list()
            board.go_silent(True)
            async with asyncio.timeout(PATIENCE_S):
                await client.close()

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_a_fault_of_whoever_takes_the_data_does_not_pass_in_silence() -> None:
    fault = ValueError("a defect")

    def fail(_message: bytes | str, _arrived_s: float) -> None:
        raise fault

    async def scenario() -> None:
        async with connected(board, on_data=fail) as client:
            await client.send(watch_command(["pot1"]))
            async with asyncio.timeout(PATIENCE_S):
                assert "a defect" in await client.lost
            assert client.failure is fault
            await client.send(unwatch_command(["pot1"]))

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_a_proven_reply_is_ours_or_later_whatever_others_ask() -> None:
    """Replies to them are under way all the time, and what is taken was read since we asked."""

    async def scenario() -> None:
        async with connected(board) as ours, connected(board) as other:
            for _ in range(10):
                await other.send(*[list_command()] * 3)
                await asyncio.sleep(0.007)
                asked_tick = board.tick_now()
                await other.send(*[list_command()] * 3)
                reply = await ours.list(proven=True)
                assert reply.is_proven
                assert reply.variable_list.tick >= asked_tick
                assert reply.received_s - reply.sent_s >= 0.01
            assert ours.counters.foreign_replies >= 50
            assert ours.counters.bad_frames == other.counters.bad_frames == 0

    with SimulatedBoard("potentiometers", network=Network.symmetric(LinkDelay(0.005))) as board:
        run(scenario())


def test_other_clients_are_heard_of() -> None:
    async def scenario() -> None:
        async with connected(board) as ours:
            assert not (await ours.list()).is_proven
            assert not ours.others.ask_lately(local_clock())
            async with connected(board) as other:
                await eventually(lambda: ours.others.ask_lately(local_clock()), "its connection")
                ours.others.note_connection(-math.inf)
                await other.send(list_command())
                await eventually(lambda: ours.others.ask_lately(local_clock()), "their reply")

    with SimulatedBoard("potentiometers") as board:
        run(scenario())


def test_pongs_that_overtake_replies_prove_nothing() -> None:
    """As with servers that answer pings at once, and requests in their turn."""

    async def reply_to_others(connection: ServerConnection) -> None:
        await others_ask.wait()
        with suppress(ConnectionClosed):
            while True:
                await connection.send(LISTING)
                await asyncio.sleep(0)

    async def serve_late(connection: ServerConnection) -> None:
        await connection.send(EVENT)
        replying = asyncio.create_task(reply_to_others(connection))
        try:
            async for message in connection:
                if "list" in str(message):
                    await asyncio.sleep(0.02)
                    await connection.send(LISTING)
        finally:
            replying.cancel()

    async def scenario() -> None:
        async with serve(serve_late, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            client = await BoardClient.connect(
                "127.0.0.1", port, now=local_clock, reply_timeout_s=PATIENCE_S,
                on_data=lambda _message, _arrived_s: None,
            )  # fmt: skip
            for _ in range(4):
                assert not (await client.list(proven=True)).is_proven
            others_ask.set()
            for _ in range(20):
                assert not (await client.list(proven=True)).is_proven
            await client.close()

    others_ask = asyncio.Event()
    run(scenario())
