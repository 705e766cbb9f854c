"""What is diagnosed, from made-up replies; a stall of our own is never blamed on the board."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from bela_module.session.delivery.watchdog import Cause, Expected, Finding, Watchdog

PROBE_S = 0.5
BLOCK_S = 0.02
NAMES = ("pot1", "pot2", "touch")


@dataclass
class Scene:
    """A board that is probed regularly; touch is sparse."""

    watchdog: Watchdog = field(default_factory=Watchdog)
    now_s: float = 100.0
    tick: int = 1000
    ticking: bool = True
    watched: set[str] = field(default_factory=lambda: set(NAMES))
    sending: set[str] = field(default_factory=lambda: {"pot1", "pot2"})
    last_block_s: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    monitored: bool = False
    others_send: bool = False
    block_s: float = BLOCK_S
    singly: bool = False

    def __post_init__(self) -> None:
        self.watchdog.asked(NAMES, self.now_s)

    def look(self, after_s: float = PROBE_S) -> list[Finding]:
        self.now_s += after_s
        self.tick += round(after_s * 44100) * self.ticking
        for name in self.sending & self.watched:
            self.last_block_s[name] = self.now_s - BLOCK_S
        expected = [
            Expected(
                name,
                name in self.watched,
                None if name == "touch" else self.block_s,
                self.values.get(name, math.nan),
                self.monitored,
                self.singly,
            )
            for name in NAMES
        ]
        heard_s = self.now_s - BLOCK_S if self.others_send else -math.inf
        return self.watchdog.look(expected, self.tick, self.now_s, self.last_block_s, heard_s)

    def first_finding(self, within: int) -> tuple[int, list[Finding]]:
        """Look until something is found; give the number of looks and what it was."""
        for count in range(1, within + 1):
            if findings := self.look():
                return count, findings
        return within, []


def test_nothing_is_found_while_all_is_well() -> None:
    scene = Scene()
    assert scene.first_finding(within=50) == (50, [])


def test_ticks_that_stand_still() -> None:
    scene = Scene()
    scene.look()
    scene.ticking = False
    count, findings = scene.first_finding(within=10)
    assert findings == [Finding(Cause.STANDSTILL)]
    assert 1.5 < count * PROBE_S <= 2.5
    scene.ticking = True
    assert scene.look() == []


def test_a_watch_that_another_client_ended() -> None:
    scene = Scene()
    scene.look()
    scene.watched.remove("pot1")
    assert scene.first_finding(within=10) == (3, [Finding(Cause.UNWATCHED, ("pot1",))])
    scene.watchdog.asked(["pot1"], scene.now_s, again=True)
    scene.watched.add("pot1")
    assert scene.first_finding(within=10) == (10, [])


def test_a_watch_that_never_took_effect() -> None:
    scene = Scene(watched={"pot1"})
    count, findings = scene.first_finding(within=10)
    assert findings == [Finding(Cause.IGNORED, ("pot2",))]
    assert count * PROBE_S > 2.0
    # A sparse variable shows as watched only with its next value, which may never come.
    assert all("touch" not in finding.names for finding in findings)


def test_a_variable_that_is_never_assigned_is_watched_once_more_and_then_said_to_be_so() -> None:
    scene = Scene(watched={"pot1"})
    scene.first_finding(within=10)
    assert scene.watchdog.to_ask_again == ["pot2"]
    scene.watchdog.asked(["pot2"], scene.now_s, again=True)
    for _ in range(4):
        assert scene.look() == [Finding(Cause.IGNORED, ("pot2",))]  # till that was in vain, too
        assert scene.watchdog.to_ask_again == []
    n_asked = 0
    for _ in range(40):  # it stands until it is seen watched, without being told again
        assert scene.look() == [Finding(Cause.UNASSIGNED, ("pot2",))]
        if scene.watchdog.to_ask_again == ["pot2"]:
            scene.watchdog.asked(["pot2"], scene.now_s, again=True)
            n_asked += 1
    assert n_asked in (3, 4)  # every five seconds
    scene.watched.add("pot2")
    assert scene.look() == []


def test_after_ticks_stood_still_nobody_is_blamed_for_the_silence() -> None:
    scene = Scene()
    scene.look()
    scene.ticking, sending, scene.sending = False, scene.sending, set()
    scene.first_finding(within=10)
    scene.look(after_s=0.9)
    scene.ticking = True
    assert scene.look(after_s=0.9) == []
    scene.sending = sending
    assert scene.first_finding(within=10) == (10, [])


def test_one_of_several_that_sends_nothing() -> None:
    scene = Scene(sending={"pot1"})
    count, findings = scene.first_finding(within=10)
    assert findings == [Finding(Cause.UNASSIGNED, ("pot2",))]
    assert count * PROBE_S > 1.5
    scene.sending.add("pot2")
    assert scene.look() == []


def test_a_board_that_sends_nothing_at_all() -> None:
    scene = Scene(sending=set())
    assert scene.first_finding(within=10)[1] == [Finding(Cause.SILENT)]


def test_a_variable_whose_values_change_is_assigned_so_the_connection_is_deaf() -> None:
    scene = Scene(sending=set())
    causes = []
    for n in range(100):
        scene.values = {"pot1": float(n)}
        causes += [finding.cause for finding in scene.look()]
    assert set(causes) == {Cause.SILENT, Cause.DEAF}
    assert causes.index(Cause.DEAF) * PROBE_S >= 3.0
    assert 2 <= causes.count(Cause.DEAF) <= 5  # ever more rarely, if that does not help


def test_a_connection_that_never_brings_anything_is_made_anew_ever_more_rarely() -> None:
    scene = Scene(sending=set())
    renewed_s = []
    for n in range(400):
        scene.values = {"pot1": float(n)}
        if Cause.DEAF in {finding.cause for finding in scene.look()}:
            renewed_s.append(scene.now_s)
            scene.watchdog.asked(NAMES, scene.now_s)
    waits_s = [b - a for a, b in itertools.pairwise(renewed_s)]
    assert len(waits_s) > 3
    assert all(b > 1.5 * a for a, b in itertools.pairwise(waits_s))


def test_on_another_connection_nothing_is_known_of_the_one_before() -> None:
    scene = Scene(sending=set())
    assert scene.first_finding(within=10)[1] == [Finding(Cause.SILENT)]
    scene.watchdog.asked(NAMES, scene.now_s)
    scene.ticking = False
    assert scene.look() == []


def test_of_values_that_come_who_knows_how_often_nothing_is_demanded_once_something_came() -> None:
    for heard in (True, False):
        scene = Scene(sending=set(), others_send=heard, block_s=math.inf)
        causes = set()
        for n in range(20):
            scene.values = {"pot1": float(n)}
            causes |= {finding.cause for finding in scene.look()}
        assert bool(causes) is not heard
        assert causes <= {Cause.SILENT, Cause.DEAF}


def test_as_long_as_anything_comes_the_board_sends() -> None:
    scene = Scene(sending=set(), others_send=True)
    causes = set()
    for n in range(20):
        scene.values = {"pot1": float(n)}
        causes |= {finding.cause for finding in scene.look()}
    assert causes == {Cause.UNASSIGNED}


def test_variables_that_varied_and_do_not_any_more_are_not_assigned() -> None:
    scene = Scene()
    for n in range(5):
        scene.values = {"pot1": float(n), "pot2": float(n)}
        assert scene.look() == []
    scene.sending = set()
    scene.values = {"pot1": 4.7, "pot2": 4.7}  # in the block that is never filled
    findings = [scene.look() for _ in range(20)]
    assert {f.cause for found in findings for f in found} == {Cause.UNASSIGNED}


def test_ticks_that_stand_still_for_a_moment_change_no_diagnosis() -> None:
    scene = Scene(sending={"pot1"})
    _, findings = scene.first_finding(within=10)
    scene.ticking = False
    assert scene.look() == scene.look() == findings
    scene.ticking = True
    assert scene.look() == findings


def test_a_monitor_that_another_client_ended() -> None:
    scene = Scene(monitored=True)
    scene.look()
    scene.watched.remove("pot1")
    assert scene.first_finding(within=10) == (3, [Finding(Cause.UNMONITORED, ("pot1",))])
    assert scene.watchdog.to_ask_again == ["pot1"]


def test_a_stall_of_this_process_accuses_nobody() -> None:
    scene = Scene()
    scene.look()
    scene.sending = set()
    assert scene.look(after_s=30.0) == []  # blocks may still be on their way
    scene.sending = {"pot1", "pot2"}
    assert scene.first_finding(within=10) == (10, [])


def test_findings_in_words() -> None:
    assert str(Finding(Cause.SILENT)) == Cause.SILENT.value
    assert str(Finding(Cause.UNWATCHED, ("a", "b"))) == (
        "a, b: another client ended the watch; watched again"
    )
    many = Finding(Cause.UNASSIGNED, tuple(f"v{k}" for k in range(100)))
    assert str(many).startswith(
        "v0, v1, v2, v3, v4, v5, v6, v7 and 92 more: asked for, but nothing comes"
    )


def test_a_single_value_is_waited_for_after_a_list_has_shown_it() -> None:
    scene = Scene(sending=set(), block_s=math.inf, singly=True)
    for n in range(8):  # every two seconds, and each comes just after the list that shows it
        scene.values = {"pot1": float(n)}
        assert scene.look() == []
        scene.last_block_s["pot1"] = scene.now_s + 0.01
        for _ in range(3):
            assert scene.look() == []
    found = []
    for n in range(12):  # it does not come any more
        scene.values = {"pot1": 100.0 + n}
        found += scene.look()
    assert Finding(Cause.SILENT) in found
    assert Finding(Cause.DEAF) in found
