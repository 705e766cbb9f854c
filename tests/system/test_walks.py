"""Random walks over commands and faults: whatever the order, the session stays right and usable.

``BELA_WALKS`` sets how many; with ``--hypothesis-seed`` they are other ones than always.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import (
    run_state_machine_as_test,
)

from tests.support.amount import N_WALKS
from tests.support.walk import Walk
from tests.support.walk_tally import Tally

N_AT_ONCE = 4  # they wait for most of the time
N_STEPS = 6
SEED = 20261121


@pytest.fixture
def no_failure(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    failures = [r.getMessage() for r in caplog.get_records("call") if r.exc_info]
    assert not failures


@pytest.fixture
def one_parses_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads read sources, as Hypothesis does: Python 3.11 cannot in two at once."""
    parse, lock = ast.parse, threading.Lock()

    def locked(*args: Any, **options: Any) -> Any:
        with lock:
            return parse(*args, **options)

    monkeypatch.setattr(ast, "parse", locked)


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("no_failure", "one_parses_at_a_time")
def test_walks(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    first_seed = int(request.config.getoption("hypothesis_seed") or SEED)
    n_each = -(-N_WALKS // N_AT_ONCE)
    tally = Tally()

    def walk(n: int) -> None:
        machine = type("Walk", (Walk,), {"tally": tally, "grouped": n % 2 > 0})
        run_state_machine_as_test(
            seed(first_seed + n)(machine),
            settings=settings(
                max_examples=n_each,
                stateful_step_count=N_STEPS,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
                deadline=None,
                database=None,
                print_blob=False,
            ),
        )

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        for walked in [pool.submit(walk, n) for n in range(N_AT_ONCE)]:
            walked.result()
    tally.check(n_each * N_AT_ONCE)
    counted = ", ".join(f"{count} {what}" for what, count in sorted(tally.counts.items()))
    record_property("counted", counted)
