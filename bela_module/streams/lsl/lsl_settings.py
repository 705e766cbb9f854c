"""LSL settings of the process: the lab's own, and beneath them what this module needs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from io import StringIO
from pathlib import Path
from typing import Final

import pylsl

from bela_module.streams.lsl.lsl_memory import return_large_blocks

logger = logging.getLogger(__name__)

Sections = Mapping[str, Mapping[str, str]]

# liblsl reserves five seconds of samples for each outlet: 122 MB for 130 channels of 44.1 kHz.
_ALWAYS: Final[Sections] = {"tuning": {"OutletBufferReserveMs": "500"}}

# Of several outlets one gets a query of this scope, the others those to the ports of known peers:
# 32 ports unless it is said otherwise, which 16 outlets of all programs of a computer fill.
_THIS_MACHINE: Final[Sections] = {
    "log": {"level": "-2"},
    "lab": {"KnownPeers": "{127.0.0.1}"},
    "multicast": {"ResolveScope": "machine"},
    "ports": {"IPv6": "disable", "PortRange": "128"},
}

# A look of one second, as LabRecorder takes, then has several waves of queries instead of two.
_QUICK_LOOK: Final[Sections] = {"tuning": {"MulticastMinRTT": "0.1", "UnicastMinRTT": "0.2"}}

_FILE_NAME: Final = "lsl_api.cfg"


def prepare_lsl(*, this_machine_only: bool = False) -> str | None:
    """Give LSL its settings; to be called before the first stream.

    What the lab has set stays: the file that ``LSLAPICFG`` names, else ``lsl_api.cfg`` in the
    current folder, in ``~/lsl_api`` or in ``/etc/lsl_api``, the order in which liblsl looks.

    Parameters
    ----------
    this_machine_only : bool
        Restrict LSL to this machine where the lab's settings do not say otherwise.

    Returns
    -------
    str or None
        The settings, for other programs that are to see the same streams; ``None`` when the lab's
        are left to LSL.
    """
    return_large_blocks()
    needed = {**_ALWAYS, **(_THIS_MACHINE if this_machine_only else {})}
    path = find_settings_file()
    try:
        text = path.read_text(encoding="utf-8-sig") if path is not None else ""
        merged = add_settings(text, needed)
    except (OSError, UnicodeError, Error) as error:
        if not this_machine_only:
            logger.warning("the LSL settings in %s are left to LSL: %s", path, error)
            return None
        logger.warning("the LSL settings in %s are not used: %s", path, error)
        merged = add_settings("", needed)
    pylsl.set_config_content(merged)
    return merged


def look_often(text: str) -> str:
    """Add to settings that queries are repeated often, for a program that looks only briefly."""
    return add_settings(text, _QUICK_LOOK)


def find_settings_file() -> Path | None:
    """Find the lab's LSL settings where liblsl looks for them."""
    named = os.environ.get("LSLAPICFG")
    places = [
        Path(_FILE_NAME),
        Path("~/lsl_api", _FILE_NAME).expanduser(),
        Path("/etc/lsl_api", _FILE_NAME),
    ]
    return next((p for p in ([Path(named)] if named else []) + places if p.is_file()), None)


def add_settings(text: str, needed: Sections) -> str:
    """Add settings to those of a file, which stay what they are.

    Parameters
    ----------
    text : str
        Contents of an ``lsl_api.cfg``.
    needed : mapping of str to mapping of str to str
        Values by section and key.

    Raises
    ------
    configparser.Error
        When the text is no such file.
    """
    parser = ConfigParser(
        strict=False, interpolation=None, allow_no_value=True, default_section="\0"
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    for section, values in needed.items():
        if not parser.has_section(section):
            parser.add_section(section)
        there = {key.lower() for key in parser.options(section)}
        for key, value in values.items():
            if key.lower() not in there:
                parser.set(section, key, value)
    merged = StringIO()
    parser.write(merged)
    return merged.getvalue()
