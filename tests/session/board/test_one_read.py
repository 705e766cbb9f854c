"""Ticks of the blocks of one read: only later ones tell more."""

from __future__ import annotations

from bela_module.session.board.one_read import OneRead


def test_only_later_ticks_tell_more() -> None:
    read = OneRead(1.0, 5000.0)
    assert read.takes(1000, None)
    assert not read.takes(1000, None)
    assert not read.takes(900, 1000 - 2000)
    assert read.takes(900, 1511)
    assert not read.takes(1000, 1511)
    assert read.takes(1001, 1511)
