"""``dp-bela``: the first word chooses the command, help is quick, an installed one works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bela_module.cli import command_line
from bela_module.cli.command_line import COMMANDS, CliCommand
from tests.support.paths import ROOT
from tests.support.server_helpers import Client

HEAVY = {"asyncio", "dareplane_utils", "numpy", "pydantic", "pylsl", "rich", "websockets"}


def help_of(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        command_line.main([*words, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_lists_the_commands_and_the_options_of_stream(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = help_of(capsys=capsys)
    for command in COMMANDS:
        assert re.search(rf"^  {command.name} +{re.escape(command.help)}$", text, re.MULTILINE)
    assert "--duration" in text


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_has_help_under_its_name(
    command: CliCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert help_of(command.name, capsys=capsys).startswith(f"usage: dp-bela {command.name} [-h]")


def test_serve_explains_the_pcomms(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(help_of("serve", capsys=capsys).split())  # columns fit the longest name
    assert "SCHEDULE the board starts and ends the streams" in text
    assert "values (required)" in text


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from bela_module.cli.command_line import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        f"    sys.exit(str({HEAVY!r} & set(sys.modules)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ended.stderr.strip() == "set()"


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["straem", "--simulate"]) == 2
    known = ", ".join(command.name for command in command_line.COMMANDS)
    assert known.startswith("stream, ")
    assert capsys.readouterr().err == f"dp-bela: unknown command 'straem'; known: {known}\n"


@pytest.mark.parametrize("words", [[], ["stream"]])
def test_without_a_word_it_is_stream(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([*words, "--variables", " , "]) == 2
    assert "--variables names none" in capsys.readouterr().err


def test_it_serves_from_an_empty_folder_where_the_package_is_installed(tmp_path: Path) -> None:
    site, empty = tmp_path / "site-packages", tmp_path / "empty"
    shutil.copytree(ROOT / "bela_module", site / "bela_module")
    empty.mkdir()
    program = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from bela_module.cli.console import console_main\n"
        "sys.exit(console_main())"
    )
    arguments = ["serve", "--simulate", "--port=0", "--loglevel=ERROR"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=empty, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.fullmatch(r"dp-bela listens on 127.0.0.1:(\d+)\n", process.stdout.readline())
        assert found is not None
        client = Client(int(found[1]))
        client.send('VERBOSE;START|{"variables": "pot1"};')
        assert [client.line(), client.line()] == ["OK VERBOSE", "OK START"]
        client.send("CLOSE;")
        client.rest()
        client.close()
        assert process.wait(20) == 0
    assert list(empty.iterdir()) == []
