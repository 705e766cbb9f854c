"""START with saving: every stream in a file of its own, whole, and never over another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from session_helpers import WaitUntil, answer, board_of, session_on, variable

from bela_module.errors import RequestError
from bela_module.requests import StartRequest


def test_what_start_streams_is_saved_whole_and_nothing_is_overwritten(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    folder = tmp_path / "recordings"
    request = StartRequest(saving_enabled=True, saving_dir="p01", saving_filename="rest")
    tables = {"recording": {"dir": str(folder), "format": "compact"}}
    with board_of(variable("ramp"), variable("other")) as board:
        with session_on(board, **tables) as one:
            for count in (1, 2):
                already = one.samples("bela_ramp")
                answer(one.session.start(request))
                wait_until(lambda n=already: one.samples("bela_ramp") > n + 2000, "samples")
                one.stop()
                assert len(list((folder / "p01").iterdir())) == 2 * count
            outside = StartRequest(saving_enabled=True, saving_dir="../elsewhere")
            with pytest.raises(RequestError, match="must lie inside of"):
                answer(one.session.start(outside))
        saved = np.concatenate([np.load(path) for path in sorted((folder / "p01").glob("*ramp*"))])
        kept = one.sink["bela_ramp"]
        order = np.argsort(saved["tick"])
        np.testing.assert_array_equal(saved["tick"][order], kept.ticks)
        np.testing.assert_array_equal(saved["value"][order], kept.ticks)
        np.testing.assert_array_equal(saved["lsl_s"][order], kept.stamps_s)
    assert not (tmp_path / "elsewhere").exists()
