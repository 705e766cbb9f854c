"""Faults do to the traffic what they say, and what they lose is on record."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from raw_client import RawClient, open_channel, raw_client
from websockets.exceptions import ConnectionClosed, WebSocketException

from bela_module.control import encode_commands, list_command, unwatch_command, watch_command
from bela_module.errors import RequestError
from bela_module.faults import (
    FAULTS,
    Disconnect,
    Drift,
    DropHeader,
    DropPair,
    Fault,
    OtherClient,
    Refuse,
    Restart,
    Silence,
    Slow,
    Stall,
    StepClock,
    describe_faults,
    parse_fault,
)
from bela_module.protocol import Block
from bela_module.simulated_board import SimulatedBoard

WaitUntil = Callable[..., None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop-header", DropHeader()),
        ("drop-pair:p=0.5,n=3,variable=pot1", DropPair(p=0.5, n=3, variable="pot1")),
        ("disconnect:at_s=10,every_s=60,clean=true", Disconnect(10.0, 60.0, clean=True)),
        ("restart:sketch=ramps,first_tick=5,", Restart(sketch="ramps", first_tick=5)),
    ],
)
def test_faults_are_read_from_text(text: str, expected: Fault) -> None:
    assert parse_fault(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "no fault 'nope'; there are drop-header"),
        ("drop-pair:q=1", "has no 'q'; it has p, n, variable"),
        ("drop-pair:p=much", "p='much' of the fault 'drop-pair' is not a number"),
        ("drop-pair:n=1.5", "not a whole number"),
        ("drop-pair:p=2", "p must be in 0 to 1"),
        ("disconnect:clean=maybe", "not true or false"),
        ("stall:at_s=-1", "must be 0 or more"),
        ("restart:sketch=nope", "no sketch 'nope'"),
    ],
)
def test_wrong_text_is_refused_with_what_is_right(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse_fault(text)


def test_every_fault_is_described_as_it_is_written() -> None:
    described = describe_faults()
    assert len(described) == len(FAULTS) == 17
    for lines in described:
        parse_fault(lines.splitlines()[0])


def collect_to_the_end(board: SimulatedBoard, client: RawClient) -> list[Block]:
    """Unwatch, and give every block that comes until the board answers afterwards."""
    client.tell(unwatch_command(["ramp_d"]))
    while board.watched_names():
        client.list()
    board.end_faults()
    # One more block, which no fault touches, shows that all those before it have come.
    client.tell({"cmd": "monitor", "watchers": ["ramp_i"], "periods": [1]})
    blocks = [client.block()]
    while not blocks[-1].monitor:
        blocks.append(client.block())
    return blocks[:-1]


@pytest.mark.parametrize("name", ["drop-header", "drop-payload", "drop-pair", "corrupt-payload"])
def test_received_and_lost_are_what_was_sent(name: str, wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps", 200_000.0) as board, raw_client(board.url) as client:
        board.inject(FAULTS[name](p=0.3))
        client.tell(watch_command(["ramp_d"]))
        wait_until(lambda: len(board.losses) >= 10)
        blocks = collect_to_the_end(board, client)
        lost_ticks = {loss.first_tick for loss in board.losses}
        assert not lost_ticks & {block.tick for block in blocks}
        (run,) = board.written("ramp_d")
        expected = range(run.first_tick, run.last_tick + 1, 512)
        assert sorted(lost_ticks | {block.tick for block in blocks}) == list(expected)


@pytest.mark.parametrize("fault", [Disconnect(), Disconnect(clean=True), Refuse(), Restart()])
def test_connections_end(fault: Fault) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(fault)
        with pytest.raises(ConnectionClosed):
            client.control.recv(timeout=20)


def test_refusing_and_being_silent_end_again(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board:
        for fault in (Refuse(for_s=0.3), Silence(for_s=0.3), Restart(down_s=0.3)):
            board.inject(fault)

            def reached() -> bool:
                try:
                    with open_channel(board.url, "control", open_timeout=0.2):
                        return True
                except (OSError, WebSocketException):
                    return False

            wait_until(lambda: not reached(), f"{fault.name} begins")
            wait_until(reached, f"{fault.name} ends")


def test_a_timed_fault_comes_again(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board:
        watch = OtherClient(at_s=0.01, every_s=0.05, cmd="watch", variables="ramp_d+ramp_j")
        board.inject(watch)
        for _ in range(2):
            wait_until(lambda: board.watched_names() == ["ramp_d", "ramp_j"])
            for text in encode_commands([unwatch_command(["ramp_d", "ramp_j"])]):
                board.inject_command(text)


def test_other_clients_reach_all_variables_by_default(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board:
        board.inject(OtherClient(cmd="watch"))
        wait_until(lambda: len(board.watched_names()) == len(board.sketch.variables))


def test_clock_and_network_faults_reach_the_board(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        before = board.tick_now()
        board.inject(StepClock(step_s=100.0))
        wait_until(lambda: board.tick_now() > before + 100 * 44_000)
        board.inject(Drift(ppm=500.0))
        wait_until(lambda: board.true_tick_rate_hz == pytest.approx(44_100 * 1.0005))
        board.inject(Slow(to_client_s=0.02, jitter_s=0.001))
        board.inject(Stall(for_s=0.1))
        client.tell(list_command())
        assert client.list().variables
