"""Where Bokeh is missing, one sentence says what to install."""

from __future__ import annotations

import sys

import pytest

from bela_module.errors import ExtraMissingError
from bela_module.viewing.bokeh_extra import require_bokeh


def test_without_bokeh_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(ExtraMissingError, match=r"^Bokeh.* pip install 'dp-bela\[view\]'$"):
        require_bokeh()


def test_with_bokeh_nothing_is_said() -> None:
    pytest.importorskip("bokeh")
    require_bokeh()
