"""Facts of a healthy board, which tests change in one place each, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bela_module.checking.checker import judge
from bela_module.checking.facts import (
    AddressAttempt,
    BoardFacts,
    ComputerFacts,
    Facts,
    LslFacts,
    ReceivedStream,
    RoundTrips,
    RunFacts,
)
from bela_module.checking.verdicts import Verdict
from bela_module.protocol.variables import ValueType, Variable

Change = Callable[[Facts], Facts]
URL = "ws://127.0.0.1:5555"


def stream(name: str = "bela_check_pot1", **changed: Any) -> dict[str, Any]:
    return {
        "name": name,
        "variables": [name.removeprefix("bela_check_")],
        "mode": "dense",
        "delivery": "block",
        "format": "float32",
        "samples": 176_000,
        "assigned": True,
        "lost": 0,
        "delay_s": 0.03,
    } | changed


def status(**changed: Any) -> dict[str, Any]:
    return {
        "state": "streaming",
        "board": {"connected": True, "sample_rate_hz": 44100.0, "tick_rate_hz": 44100.4},
        "clock": {"uncertainty_s": 0.0004, "drift_ppm": 9.0},
        "streams": [stream()],
        "counters": {"orphan_headers": 0, "reconnects": 0, "restarts": 0},
        "others": {"watched": [], "monitored": [], "controlled": []},
        "problems": [],
        "shortfalls": [],
        "notices": [],
    } | changed


def healthy_facts() -> Facts:
    """Return what is measured when all is well."""
    return Facts(
        BoardFacts(
            URL,
            (AddressAttempt("127.0.0.1", took_s=0.001),),
            project="pots",
            declared_rate_hz=44100.0,
            variables=(Variable(0, "pot1", ValueType.FLOAT),),
        ),
        RunFacts(
            streamed_s=4.0,
            status=status(),
            final=status(state="idle"),
            uncertainty_s=0.0004,
            first_sample_s=0.2,
            delays_s={"bela_check_pot1": 0.03},
            round_trips=RoundTrips((0.001,) * 16, ticks=tuple(range(0, 16 * 4410, 4410))),
        ),
        LslFacts(
            n_opened=1,
            found=("bela_check_pot1",),
            found_in_s=0.3,
            received={"bela_check_pot1": ReceivedStream("bela_check_pot1", 176_000, 0.03)},
        ),
        ComputerFacts(
            folder="/data",
            free_bytes=10**11,
            bytes_per_hour=1e9,
            pcomm_address="127.0.0.1:8080",
            log_address="127.0.0.1:9020",
            open_files=20,
            open_file_limit=8192,
            lsl_ports=32,
            free_lsl_ports=32,
            lsl_ports_per_stream=2,
            versions={"dp-bela": "0.2.0"},
        ),
    )


def with_run(facts: Facts, **changed: Any) -> Facts:
    return replace(facts, run=replace(facts.run, **changed))


def with_streams(facts: Facts, *streams: dict[str, Any], **changed: Any) -> Facts:
    streaming, final = list(streams), list(streams)
    return with_run(
        facts,
        status=status(streams=streaming, **changed),
        final=status(streams=final, state="idle", **changed),
    )


def change_board(**changed: Any) -> Change:
    return lambda facts: replace(facts, board=replace(facts.board, **changed))


def change_computer(**changed: Any) -> Change:
    return lambda facts: replace(facts, computer=replace(facts.computer, **changed))


def change_lsl(**changed: Any) -> Change:
    return lambda facts: replace(facts, lsl=replace(facts.lsl, **changed))


def change_run(**changed: Any) -> Change:
    return lambda facts: with_run(facts, **changed)


def change_status(**changed: Any) -> Change:
    return lambda facts: with_streams(facts, stream(), **changed)


def others_of(**used: list[str]) -> dict[str, list[str]]:
    return {"watched": [], "monitored": [], "controlled": []} | used


def assert_turns(change: Change, line: str, verdict: Verdict, words: str) -> None:
    """Check that a fault turns its line and no other, and that the line says what to do."""
    checks = list(judge(change(healthy_facts())))
    turned = {check.name: check for check in checks if check.verdict is not Verdict.OK}
    assert set(turned) == {line}
    assert turned[line].verdict is verdict
    assert words in turned[line].measured
    assert turned[line].advice
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
