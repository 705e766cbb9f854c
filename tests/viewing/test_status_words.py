"""The head of the page in words."""

from __future__ import annotations

from typing import Any

from bela_module.viewing.status_words import describe_status

STREAM = {"name": "bela_a", "samples": 1000, "lost": 0, "gaps": 0}


def status(**changes: Any) -> dict[str, Any]:
    return {
        "state": "streaming",
        "board": {"url": "ws://bela.local:5555", "project": "pots", "connected": True},
        "clock": {"uncertainty_s": 0.00061, "drift_ppm": 12.3},
        "streams": [STREAM],
        "problems": [],
        "shortfalls": [],
        "notices": [],
        "last_error": None,
        "last_check": None,
        **changes,
    }


def test_a_healthy_module() -> None:
    words = describe_status(status(), "127.0.0.1:8080")
    assert (words.state, words.is_good) == ("streaming", True)
    assert words.board == "pots at ws://bela.local:5555"
    assert words.clock == "times within 0.61 ms, drift +12.3 ppm"
    assert words.losses == "1 stream, 1000 samples, none lost"
    assert 'class="state good"' in words.as_html()


def test_a_large_uncertainty_is_a_plain_number() -> None:
    for uncertainty_s, words in ((0.0123, "12 ms"), (0.11, "110 ms"), (3.51, "3.5 s")):
        clock = {"uncertainty_s": uncertainty_s, "drift_ppm": None}
        assert describe_status(status(clock=clock), "").clock == f"times within {words}"


def test_losses_problems_and_what_was_before() -> None:
    words = describe_status(
        status(
            streams=[STREAM, {**STREAM, "lost": 7, "gaps": 2}],
            problems=["nothing comes"],
            notices=["one", "two", "three", "nothing comes"],
            last_error="SET: no",
        ),
        "",
    )
    assert words.losses == "2 streams, 2000 samples, 7 lost in 2 gaps"
    assert words.problems == ("nothing comes",)
    assert words.notices == ("three", "SET: no")
    assert 'class="state bad"' in words.as_html()


def test_many_problems_are_counted() -> None:
    html = describe_status(status(problems=[f"p{k}" for k in range(9)]), "").as_html()
    assert "and 5 more" in html


def test_a_failed_check_is_a_problem() -> None:
    check = {
        "verdict": "fail",
        "checks": [
            {"name": "board", "verdict": "ok", "measured": "there", "advice": ""},
            {"name": "clock", "verdict": "fail", "measured": "30 ms", "advice": "use a cable"},
        ],
    }
    words = describe_status(status(last_check=check), "")
    assert words.problems == ("check: clock: 30 ms; use a cable",)


def test_a_module_that_does_not_answer_and_one_without_a_board() -> None:
    assert describe_status(None, "127.0.0.1:8080").problems[0].startswith("no dp-bela answers at")
    board = {"url": "ws://x:1", "project": None, "connected": False}
    clock = {"uncertainty_s": None, "drift_ppm": None}
    words = describe_status(status(state="waiting", board=board, clock=clock, streams=[]), "")
    assert not words.is_good
    assert words.board == "no project known at ws://x:1, not connected"
    assert words.clock == "clock not known yet"
    assert words.losses == "no streams"


def test_names_are_text_and_never_html() -> None:
    board = {"url": "ws://x:1", "project": "<script>", "connected": True}
    html = describe_status(status(board=board, problems=["<b>"]), "").as_html()
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
