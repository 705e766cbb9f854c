"""Judges this computer: folder and room for recordings, ports, open files, versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bela_module.checking.facts import ComputerFacts, Facts
from bela_module.checking.verdicts import Check, Verdict

_FILES_PER_STREAM: Final = 17
_SPARE_FILES: Final = 64


def computer_checks(facts: Facts) -> Iterator[Check]:
    """Judge what an experiment needs of this computer."""
    computer = facts.computer
    yield _check_disk(computer)
    yield _check_pcomm_port(facts)
    yield _check_log_server(computer)
    yield _check_lsl_ports(facts)
    yield _check_open_files(facts)
    versions = ", ".join(f"{name} {version}" for name, version in computer.versions.items())
    yield Check("versions", Verdict.OK, versions)


def _check_disk(computer: ComputerFacts) -> Check:
    if computer.folder_error:
        advice = "choose another folder: recording.dir in the configuration"
        measured = f"{computer.folder}: {computer.folder_error}"
        return Check("disk", Verdict.FAIL, measured, advice)
    gib = computer.free_bytes / 2**30
    measured = f"{computer.folder}: {gib:.1f} GiB free"
    if computer.bytes_per_hour > 0:
        hours = computer.free_bytes / computer.bytes_per_hour
        measured += f", {_write_hours(hours)} at this rate"
        if hours < 1.0:
            advice = "make room, or choose another folder: recording.dir in the configuration"
            return Check("disk", Verdict.FAIL, measured, advice)
    return Check("disk", Verdict.OK, measured)


def _write_hours(hours: float) -> str:
    if hours >= 1000.0:
        return "weeks"
    if hours >= 10.0:
        return f"{hours:.0f} h"
    return f"{hours:.1f} h" if hours >= 1.0 else f"{int(60 * hours)} min"


def _check_pcomm_port(facts: Facts) -> Check:
    computer = facts.computer
    where = computer.pcomm_address
    if computer.pcomm_port == "free":
        return Check("PCOMM port", Verdict.OK, f"{where} is free")
    if computer.pcomm_port == "ours":
        state = f", {computer.pcomm_state}" if computer.pcomm_state else ""
        return Check("PCOMM port", Verdict.OK, f"a dp-bela answers at {where}{state}")
    if computer.pcomm_port == "taken":
        advice = "another program uses it: end that, or choose another with --port or server.port"
        return Check("PCOMM port", Verdict.FAIL, f"{where} is taken", advice)
    advice = "choose an address of this computer and a port above 1023: server.ip, server.port"
    return Check("PCOMM port", Verdict.FAIL, f"{where}: {computer.pcomm_port}", advice)


def _check_log_server(computer: ComputerFacts) -> Check:
    if computer.has_log_server:
        return Check("log server", Verdict.OK, f"{computer.log_address} answers")
    advice = "nothing, without a control room: it starts the log server"
    return Check("log server", Verdict.OK, f"none at {computer.log_address}", advice)


def _check_lsl_ports(facts: Facts) -> Check:
    computer, name = facts.computer, "LSL ports"
    if not computer.lsl_ports:
        return Check(name, Verdict.OK, "not known")
    needed = facts.lsl.n_opened * computer.lsl_ports_per_stream
    measured = f"{computer.free_lsl_ports} of {computer.lsl_ports} are free, {needed} needed"
    # Beyond them LSL takes any, unless it is told not to: what was found is fine.
    is_short = needed > computer.free_lsl_ports and len(facts.lsl.found) < facts.lsl.n_opened
    if is_short and not computer.serves_this_board:
        advice = "set a larger [ports] PortRange in lsl_api.cfg, or let variables share streams"
        return Check(name, Verdict.WARN, measured, advice)
    return Check(name, Verdict.OK, measured)


def _check_open_files(facts: Facts) -> Check:
    computer, n_streams = facts.computer, len(facts.board.variables)
    if computer.open_file_limit is None:
        return Check("open files", Verdict.OK, "no limit")
    needed = computer.open_files + _SPARE_FILES + _FILES_PER_STREAM * min(n_streams, 16)
    measured = f"{computer.open_files} of {computer.open_file_limit}"
    if needed > computer.open_file_limit:
        advice = "raise it (ulimit -n), or let variables share streams: streaming.group"
        return Check("open files", Verdict.WARN, measured, advice)
    return Check("open files", Verdict.OK, measured)
