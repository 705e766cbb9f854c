"""LSL's settings: the lab's own stay, ours go beneath."""

from __future__ import annotations

import logging
from configparser import ConfigParser
from pathlib import Path

import pylsl
import pytest

from bela_module.streams.lsl import lsl_settings
from bela_module.streams.lsl.lsl_settings import (
    add_settings,
    find_settings_file,
    look_often,
    prepare_lsl,
)

LAB = """; the lab's
[lab]
SessionID = room 7
KnownPeers = {10.0.0.2, lab-pc}
[Multicast]
[multicast]
ResolveScope = site
[tuning]
outletbufferreservems = 2000
"""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What LSL was given."""
    contents: list[str] = []
    monkeypatch.setattr(pylsl, "set_config_content", contents.append)
    return contents


def parsed(text: str) -> dict[str, dict[str, str]]:
    parser = ConfigParser(interpolation=None, default_section="\0")
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_labs_settings_stay_and_ours_fill_the_rest(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.cfg").write_text(LAB, encoding="utf-8")
    monkeypatch.setenv("LSLAPICFG", str(tmp_path / "lab.cfg"))
    prepare_lsl(this_machine_only=True)
    settings = parsed(given[0])
    assert settings["lab"] == {"sessionid": "room 7", "knownpeers": "{10.0.0.2, lab-pc}"}
    assert settings["multicast"] == {"resolvescope": "site"}
    assert settings["tuning"] == {"outletbufferreservems": "2000"}
    assert settings["ports"] == {"ipv6": "disable", "portrange": "128"}
    assert "SessionID" in given[0]  # LSL's keys are spelled as they were


def test_without_any_settings_a_simulation_stays_on_this_machine(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSLAPICFG", str(tmp_path / "missing.cfg"))
    monkeypatch.setattr(lsl_settings, "find_settings_file", lambda: None)
    prepare_lsl(this_machine_only=True)
    settings = parsed(given[0])
    assert settings["multicast"] == {"resolvescope": "machine"}
    assert settings["tuning"] == {"outletbufferreservems": "500"}
    assert settings["lab"] == {"knownpeers": "{127.0.0.1}"}  # else one of all streams answers
    assert settings["ports"]["portrange"] == "128"  # else those of 16 outlets
    prepare_lsl()
    assert parsed(given[1]) == {"tuning": {"outletbufferreservems": "500"}}


def test_other_programs_get_the_same_settings_and_may_look_more_often(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.cfg").write_text(f"{LAB}UnicastMinRTT = 0.5\n", encoding="utf-8")
    monkeypatch.setenv("LSLAPICFG", str(tmp_path / "lab.cfg"))
    text = prepare_lsl()
    assert text == given[0]
    settings = parsed(look_often(text))
    assert settings["lab"] == {"sessionid": "room 7", "knownpeers": "{10.0.0.2, lab-pc}"}
    assert settings["tuning"] == {
        "outletbufferreservems": "2000",
        "unicastminrtt": "0.5",
        "multicastminrtt": "0.1",
    }


def test_a_file_that_cannot_be_read_is_left_to_lsl_and_told(
    given: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "lsl_api.cfg"
    path.write_text("ResolveScope = machine\n", encoding="utf-8")  # without a section
    monkeypatch.setenv("LSLAPICFG", str(path))
    with caplog.at_level(logging.WARNING):
        assert prepare_lsl() is None
        assert given == []
        prepare_lsl(this_machine_only=True)
    assert str(path) in caplog.text
    assert parsed(given[0])["multicast"] == {"resolvescope": "machine"}


def test_the_file_is_found_where_liblsl_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LSLAPICFG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    at_home = tmp_path / "home" / "lsl_api" / "lsl_api.cfg"
    at_home.parent.mkdir(parents=True)
    at_home.write_text("", encoding="utf-8")
    assert find_settings_file() == at_home
    (tmp_path / "lsl_api.cfg").write_text("", encoding="utf-8")
    assert find_settings_file() == Path("lsl_api.cfg")
    named = tmp_path / "named.cfg"
    named.write_text("", encoding="utf-8")
    monkeypatch.setenv("LSLAPICFG", str(named))
    assert find_settings_file() == named


def test_a_percent_sign_is_only_a_percent_sign() -> None:
    assert "a%b" in add_settings("[lab]\nSessionID = a%b\n", {"ports": {"IPv6": "disable"}})
