"""``simulate`` is ``python -m bela_module.simulator`` under the name of the console command."""

from __future__ import annotations

import pytest

from bela_module.cli import simulate_command


def test_its_lists_are_those_of_the_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate_command.main(["--list-sketches"]) == 0
    assert "potentiometers" in capsys.readouterr().out


def test_wrong_arguments_name_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        simulate_command.main(["--nonsense"])
    assert caught.value.code == 2
    assert "dp-bela simulate: error: " in capsys.readouterr().err
