"""Whole chunks of files that were cut at any byte or damaged."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
import pytest
import pyxdf

from bela_module.reports.xdf_chunks import XdfChunk, find_whole_chunks
from tests.support.recordings import healthy

BOUNDARY = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return healthy(400).write(tmp_path_factory.mktemp("chunks") / "x.xdf").read_bytes()


def readable(content: bytes) -> bytes:
    return joined(content, find_whole_chunks(io.BytesIO(content)).chunks)


def joined(content: bytes, chunks: Sequence[XdfChunk]) -> bytes:
    return b"XDF:" + b"".join(content[chunk.begin : chunk.end] for chunk in chunks)


def test_a_whole_file(content: bytes) -> None:
    found = find_whole_chunks(io.BytesIO(content))
    assert found.n_damaged_bytes == 0
    assert found.headers.keys() == found.ended == {1, 2, 3, 4}
    assert "<name>bela_pot1</name>" in found.headers[1]
    assert readable(content) == content
    for one in found.chunks:
        assert content[one.begin] == 4
        assert one.content - one.begin == (11 if one.stream else 7)


def test_cut_at_any_byte_it_is_a_beginning_that_pyxdf_reads(content: bytes) -> None:
    ends = set()
    for size in range(4, len(content)):
        found = find_whole_chunks(io.BytesIO(content[:size]))
        end = found.chunks[-1].end if found.chunks else 4
        assert joined(content, found.chunks) == content[:end]
        assert end + found.n_damaged_bytes == size
        ends.add(end)
    for end in ends:
        with np.errstate(all="ignore"):  # of few samples it computes a rate, too
            pyxdf.load_xdf(io.BytesIO(content[:end]), synchronize_clocks=False)


def chunk(tag: int, content: bytes) -> bytes:
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def test_behind_damage_it_goes_on_after_the_next_boundary(content: bytes) -> None:
    boundary = chunk(5, BOUNDARY)
    more = chunk(4, struct.pack("<Idd", 1, 5000.0, 0.0))
    damage = b"\xff" * 3_000_000
    whole = content + damage + boundary + more
    found = find_whole_chunks(io.BytesIO(whole))
    assert found.n_damaged_bytes == len(damage) + len(boundary)
    assert readable(whole) == content + more


@pytest.mark.parametrize(
    "bad",
    [
        chunk(1, b"<info>"),
        chunk(2, struct.pack("<I", 9) + b"<info><unfinished>"),
        chunk(6, struct.pack("<I", 1) + b"<info>"),
        chunk(4, struct.pack("<Id", 1, 5000.0)),
        chunk(3, struct.pack("<I", 77) + b"\x04\0\0\0\0"),
        chunk(3, b"\x01"),
        chunk(99, b"12345678"),
    ],
    ids=["file header", "header", "footer", "offset", "of no stream", "short", "tag"],
)
def test_a_chunk_that_is_not_whole_in_itself_is_left_out(content: bytes, bad: bytes) -> None:
    assert readable(content + bad) == content
    assert find_whole_chunks(io.BytesIO(content + bad)).n_damaged_bytes == len(bad)
