"""Settings: defaults, every refusal with its words, where a relative path and an address go."""

from __future__ import annotations

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bela_module import config
from bela_module.config import (
    Settings,
    load_settings,
    parse_settings,
    with_board_address,
    with_overrides,
)
from bela_module.errors import ConfigError
from tests.support.paths import ROOT


def test_the_shipped_configuration_shows_the_defaults() -> None:
    shipped = load_settings()
    assert shipped.recording.dir == ROOT / "recordings"
    assert shipped.model_dump(exclude={"recording"}) == Settings().model_dump(exclude={"recording"})


def test_the_examples_of_the_shipped_configuration_are_valid(tmp_path: Path) -> None:
    text = (ROOT / "configs" / "bela.toml").read_text(encoding="utf-8")
    file = tmp_path / "bela.toml"
    file.write_text(re.sub(r"(?m)^# (?=\[\S+\]$|\w+ = )", "", text), encoding="utf-8")
    settings = load_settings(file)
    assert settings.streams["pots"].labels == ("left", "right")
    assert settings.streams["temperature"].mode == "monitor"
    assert settings.inputs["level"].echo == "echo"
    assert settings.inputs["side"].markers == {"left": 0, "right": 1}
    assert settings.callbacks.messages == {"schedule_finished": "dp-lsl-recording|STOPRECORD|{}"}


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DEFAULT_CONFIG", tmp_path / "absent.toml")
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.board.host == "bela.local"
    assert settings.recording.dir == tmp_path.resolve() / "recordings"


def test_a_relative_folder_starts_at_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[recording]\ndir = "data"\nformat = "compact"\n', encoding="utf-8")
    assert load_settings(file).recording.dir == tmp_path.resolve() / "data"
    assert load_settings(str(file)).recording.format == "compact"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().board.port = 1
    with pytest.raises(ValidationError):
        Settings().log = config.LogSettings()


def test_a_whole_file() -> None:
    settings = parse_settings(
        {
            "board": {"host": "192.168.7.2", "port": 5556, "name": "left", "input_delay_s": 0.001},
            "streaming": {"variables": ["pot1"], "prefix": "x_"},
            "streams": {
                "pots": {"variables": ["pot1", "pot2"], "units": "V", "labels": ["a", "b"]},
                "slow": {"variables": "t", "mode": "monitor", "period_s": 0.5},
            },
            "callbacks": {"gap": 'mod|PCOMM|{"a": [1, 2]}'},
            "log": {"level": 10},
        },
        "test",
    )
    assert settings.board.url == "ws://192.168.7.2:5556"
    assert settings.streams["pots"].units == ("V", "V")
    assert settings.streams["slow"].variables == ("t",)
    assert settings.log.level == "DEBUG"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"borad": {}}, "borad: unknown key; did you mean board\\? allowed: board, server, streaming"),
    ({"board": {"hots": "x"}}, "board.hots: unknown key; did you mean host\\? allowed: host, port"),
    ({"board": 3}, "board = 3: must be a table of keys and values"),
    ({"board": {"port": 0}}, "board.port = 0: must be greater than or equal to 1"),
    ({"board": {"port": True}}, "board.port = True: must be a number, not a boolean"),
    ({"board": {"port": "many"}}, "board.port = 'many': must be a whole number"),
    ({"board": {"host": "ws://x"}}, "board.host = 'ws://x': must be a host name or an IPv4"),
    ({"board": {"name": ""}}, "board.name = '': must be a name, not empty"),
    ({"board": {"name": "x" * 201}}, "must be a name of at most 200 characters"),
    ({"board": {"name": "a\nb"}}, r"board.name = 'a\\nb': must be a name without control"),
    ({"board": {"input_delay_s": -1}}, "board.input_delay_s = -1: must be greater than or equal"),
    (
        {"streams": {"t": {"variables": "t", "mode": "monitor", "period_s": 1e300}}},
        r"streams.t.period_s = 1e\+300: must be less than or equal to 86400",
    ),
    ({"streaming": {"max_buffered_s": 1e300}}, r"max_buffered_s = 1e\+300: must be less than or"),
    ({"board": {"reply_timeout_s": 1e300}}, r"reply_timeout_s = 1e\+300: must be less than or"),
    (
        {"streams": {"t": {"variables": "t", "nominal_rate_hz": 1e300}}},
        r"streams.t.nominal_rate_hz = 1e\+300: must be less than or equal to",
    ),
    ({"board": {"reply_timeout_s": 0}}, "board.reply_timeout_s = 0: must be greater than 0"),
    (
        {"board": {"reply_timeout_s": float("inf")}},
        "reply_timeout_s = inf: must be a finite number",
    ),
    ({"server": {"max_connections": 0}}, "server.max_connections = 0: must be greater than or"),
    ({"streaming": {"variables": ["a", "a"]}}, "each variable once, but 'a' stands there twice"),
    ({"streaming": {"events_stream": "it's"}}, "must not contain quotes"),
    (
        {"streams": {"it's": {"variables": ["a"]}}},
        "streams.it's = \"it's\": must not contain quotes",
    ),
    ({"streams": {"s": {}}}, "streams.s.variables: is required and missing"),
    ({"streams": {"s": {"variables": []}}}, "streams.s.variables = .*: must have at least 1"),
    ({"streams": {"s": {"variables": [""]}}}, "streams.s.variables.0 = '': must be a name"),
    ({"streams": {"s": {"variable": ["a"]}}}, "streams.s.variable: unknown key; did you mean vari"),
    ({"streams": {"s": {"variables": ["a"], "mode": "log"}}}, "must be 'watch' or 'monitor'"),
    (
        {"streams": {"s": {"variables": ["a"], "labels": ["b", "c"]}}},
        "streams.s: labels must be as many as variables: 2 labels for 1 variables",
    ),
    (
        {"streams": {"s": {"variables": ["a", "b"], "units": ["V"]}}},
        "streams.s: units must be as many as variables: 1 units for 2 variables",
    ),
    ({"streams": {"s": {"variables": ["a"], "period_s": 1}}}, 'period_s needs mode = "monitor"'),
    (
        {"streams": {"s": {"variables": ["a"], "mode": "monitor", "nominal_rate_hz": 1}}},
        'nominal_rate_hz needs mode = "watch"',
    ),
    (
        {"streams": {"s": {"variables": ["a"]}, "t": {"variables": ["a"]}}},
        r"streams: variable 'a' stands in \[streams.s\] and in \[streams.t\]; only one",
    ),
    (
        {"streaming": {"variables": ["s"]}, "streams": {"s": {"variables": ["a"]}}},
        "two streams would be named 'bela_s'",
    ),
    ({"streams": {"events": {"variables": ["a"]}}}, "two streams would be named 'bela_events'"),
    (
        {"recording": {"format": "xdf"}},
        "recording.format = 'xdf': must be 'text', 'compact' or 'csv'",
    ),
    (
        {"callbacks": {"paused": "a|b|{}"}},
        "callbacks.paused: unknown key; allowed: to, linger_s, started, ",
    ),
    ({"callbacks": {"gap": "a|b"}}, "with exactly two '|'"),
    ({"callbacks": {"gap": "a||{}"}}, "with exactly two '|'"),
    ({"callbacks": {"gap": "a|b|{};"}}, "printable ASCII without ';'"),
    ({"callbacks": {"gap": 'a|b|{"\N{SNOWMAN}": 1}'}}, "printable ASCII without ';'"),
    ({"callbacks": {"gap": "1a|b|{}"}}, "the module's name must not begin with 1"),
    ({"callbacks": {"gap": "a|b|{"}}, "its JSON is broken"),
    ({"callbacks": {"gap": f"a|b|{'[' * 1020}"}}, "its JSON is broken"),
    ({"callbacks": {"gap": "a|b|[]"}}, "is no JSON object"),
    ({"callbacks": {"gap": "a|b|{}" + " " * 1024}}, "of at most 1024 characters"),
    ({"log": {"level": "LOUD"}}, "log.level = 'LOUD': must be 'DEBUG', 'INFO', "),
]


@pytest.mark.parametrize(("table", "words"), REFUSED)
def test_refusals_name_file_key_value_and_rule(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_settings(table, "lab.toml")
    assert str(caught.value).startswith("lab.toml: ")


def test_every_fault_has_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings({"board": {"port": 0, "host": ""}, "log": {"level": "x"}}, "lab.toml")
    assert len(str(caught.value).splitlines()) == 3


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*absent.toml"):
        load_settings(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"[board\n")
    with pytest.raises(ConfigError, match=r"broken.toml is no TOML"):
        load_settings(broken)
    for content in (b'[board]\nname = "\xff"\n', b"a = " + b"[" * 100_000):
        broken.write_bytes(content)
        with pytest.raises(ConfigError, match=r"broken.toml is no TOML"):
            load_settings(broken)


@pytest.mark.parametrize(
    ("board", "environ", "address"),
    [
        (None, {}, "lab:5556"),
        (None, {"BELA_HOST": "10.0.0.1"}, "10.0.0.1:5556"),
        (None, {"BELA_HOST": "10.0.0.1", "BELA_PORT": "7"}, "10.0.0.1:7"),
        (None, {"BELA_HOST": "", "BELA_PORT": ""}, "lab:5556"),
        ("10.0.0.2", {"BELA_HOST": "10.0.0.1", "BELA_PORT": "7"}, "10.0.0.2:5556"),
        ("10.0.0.2:9", {"BELA_HOST": "10.0.0.1"}, "10.0.0.2:9"),
    ],
)
def test_the_address_of_the_board(board: str | None, environ: dict[str, str], address: str) -> None:
    configured = parse_settings({"board": {"host": "lab", "port": 5556, "name": "n"}}, "test")
    settings = with_board_address(configured, board, environ)
    assert f"{settings.board.host}:{settings.board.port}" == address
    assert settings.board.name == "n"


@pytest.mark.parametrize(
    ("board", "environ", "words"),
    [
        ("x:70000", {}, "--board x:70000: port = '70000': must be less than or equal to 65535"),
        (":5", {}, "--board :5: host = '': must be a host name"),
        (None, {"BELA_PORT": "five"}, "BELA_HOST / BELA_PORT: port = 'five': must be a whole"),
    ],
)
def test_addresses_that_are_none(board: str | None, environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        with_board_address(Settings(), board, environ)


def test_overrides_keep_the_rest() -> None:
    before = parse_settings(
        {"server": {"port": 1}, "streams": {"s": {"variables": ["a"], "units": "V"}}}, "test"
    )
    after = with_overrides(before, server={"ip": "127.0.0.2", "port": None}, log={"level": "30"})
    assert (after.server.ip, after.server.port, after.log.level) == ("127.0.0.2", 1, "WARNING")
    assert after.streams == before.streams
    assert before.server.ip == "127.0.0.1"
    with pytest.raises(ConfigError, match="command line: server.port = 'x': must be a whole"):
        with_overrides(before, server={"port": "x"})


def test_the_control_room_example_names_one_module_twice() -> None:
    table = tomllib.loads((ROOT / "configs" / "control_room.toml").read_text(encoding="utf-8"))
    new, old = table["modules"]["dp-bela"], table["python"]["modules"]["dp-bela"]
    assert new["kind"] == "python"
    assert (new["ip"], new["port"], new["kwargs"]) == (old["ip"], old["port"], old["kwargs"])
    for macro in table["macros"].values():
        for module, _pcomm, *mappings in macro["cmds"].values():
            assert module in table["modules"]
            keys = {mapping.split("=")[1] for mapping in mappings}
            assert keys <= set(macro.get("default_json", {}))


def test_a_folder_that_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    file = tmp_path / "lab.toml"
    file.write_text("[recording]\ndir = '~no-such-user-here/data'\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"recording.dir = '~no-such-user-here/data': no folder"):
        load_settings(file)
    file.write_text("[recording]\ndir = 'loop/a'\n", encoding="utf-8")
    with contextlib.suppress(ConfigError):  # from Python 3.13 on, only opening a file there fails
        load_settings(file)


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        (r'"C:\temp"', r"recording.dir = 'C:\\temp': must have no control characters"),
        (r'"C:\data"', r"lab\.toml is no TOML: .*"),
        (r'"C:\Users\x"', r"lab\.toml is no TOML: .*"),
    ],
)
def test_a_backslash_in_double_quotes_is_refused_with_advice(
    folder: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(f"[recording]\ndir = {folder}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        load_settings(file)
    assert r"a \ begins an escape: write 'C:\temp', or C:/temp" in str(caught.value)
    file.write_text("[recording]\ndir = 'C:\\temp'\n", encoding="utf-8")
    assert load_settings(file).recording.dir.name.endswith("temp")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("[board]\nname = 'left'\n", encoding="utf-8-sig")
    assert load_settings(file).board.name == "left"
    file.write_text("[board]\nname = 'left'\n", encoding="utf-16")
    with pytest.raises(ConfigError, match=r"lab\.toml is no TOML: save it as UTF-8: "):
        load_settings(file)


@pytest.mark.parametrize(
    ("board", "host", "port", "url"),
    [
        ("[::1]:5556", "::1", 5556, "ws://[::1]:5556"),
        ("[::1]", "::1", 5555, "ws://[::1]:5555"),
        ("::1", "::1", 5555, "ws://[::1]:5555"),
        ("FE80:0::7", "fe80::7", 5555, "ws://[fe80::7]:5555"),
        ("10.0.0.1:77", "10.0.0.1", 77, "ws://10.0.0.1:77"),
    ],
)
def test_addresses_of_a_board(board: str, host: str, port: int, url: str) -> None:
    settings = with_board_address(Settings(), board, {})
    assert (settings.board.host, settings.board.port, settings.board.url) == (host, port, url)


@pytest.mark.parametrize("board", ["[::1", "[::1]x", "[::1]:x", "[]:5", "a:b:c", "::g", "[a]:b"])
def test_ipv6_addresses_that_are_none(board: str) -> None:
    with pytest.raises(ConfigError, match=r"--board .*: (host|port) = "):
        with_board_address(Settings(), board, {})


@pytest.mark.parametrize(
    "host", ["h\x1b[31m", "a\x00", "lab..local", ".lab", "x" * 64, "\udced", "a[b", "a b", ""]
)
def test_what_no_computer_is_called_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="must be a host name"):
        parse_settings({"server": {"ip": host}}, "test")
    with pytest.raises(ConfigError, match="callbacks.to = .* must be"):
        parse_settings({"callbacks": {"to": f"{host}:9000"}}, "test")


@pytest.mark.parametrize(
    "host", ["lab", "bela.local.", "b\N{LATIN SMALL LETTER U WITH DIAERESIS}ro", "my_pc"]
)
def test_names_of_computers(host: str) -> None:
    assert parse_settings({"board": {"host": host}}, "test").board.host == host


def test_an_ipv6_address_for_callbacks() -> None:
    settings = parse_settings(
        {"callbacks": {"to": "[::1]:9000"}, "server": {"ip": "[::1]"}}, "test"
    )
    assert (settings.callbacks.to, settings.server.ip) == ("[::1]:9000", "::1")
