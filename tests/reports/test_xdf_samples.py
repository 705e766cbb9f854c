"""Chunks of samples: with and without stamps, of every type, and damaged."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.reports.xdf_samples import (
    SampleLayout,
    are_whole_texts,
    decode_samples,
    encode_two,
    layout_of,
)

LAYOUT = SampleLayout(np.dtype("<i2"), 3, 0.5)
STAMPED = st.lists(st.booleans(), min_size=1, max_size=40)


def encoded(stamped: list[bool], layout: SampleLayout = LAYOUT, count: int = 4) -> bytes:
    values = np.arange(len(stamped) * layout.n_channels).astype(layout.dtype)
    rows = values.reshape(len(stamped), layout.n_channels)
    size = {1: "<B", 4: "<I", 8: "<Q"}[count]
    parts = [bytes([count]), struct.pack(size, len(stamped))]
    for number, (has_stamp, row) in enumerate(zip(stamped, rows, strict=True)):
        parts.append(b"\x08" + struct.pack("<d", 100.0 + number) if has_stamp else b"\x00")
        parts.append(row.tobytes())
    return b"".join(parts)


@given(STAMPED, st.sampled_from([1, 4, 8]))
def test_samples_with_and_without_stamps(stamped: list[bool], count: int) -> None:
    found = decode_samples(encoded(stamped, count=count), LAYOUT, 7.0)
    assert found is not None
    stamps_s, values = found
    expected, last_s = [], 7.0
    for number, has_stamp in enumerate(stamped):
        last_s = 100.0 + number if has_stamp else last_s + 0.5
        expected.append(last_s)
    assert stamps_s.tolist() == expected
    assert values.ravel().tolist() == list(range(3 * len(stamped)))


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i1", "<i2", "<i4", "<i8"])
@pytest.mark.parametrize("stamped", [[True] * 5, [True, False, False]])
def test_every_type(dtype: str, stamped: list[bool]) -> None:
    layout = SampleLayout(np.dtype(dtype), 2, 0.0)
    found = decode_samples(encoded(stamped, layout), layout, 0.0)
    assert found is not None
    assert found[1].tolist() == np.arange(2 * len(stamped)).reshape(-1, 2).tolist()


@given(STAMPED, st.data())
def test_what_is_cut_or_too_long_is_damaged(stamped: list[bool], data: st.DataObject) -> None:
    content = encoded(stamped)
    size = data.draw(st.integers(0, len(content) - 1))
    assert decode_samples(content[:size], LAYOUT, 0.0) is None
    assert decode_samples(content + b"\x00", LAYOUT, 0.0) is None


def test_a_size_of_a_stamp_that_is_unknown_is_damaged() -> None:
    content = bytearray(encoded([True] * 3))
    content[5] = 4
    assert decode_samples(bytes(content), LAYOUT, 0.0) is None


def test_no_samples() -> None:
    found = decode_samples(encoded([]), LAYOUT, 0.0)
    assert found is not None
    assert found[0].size == 0


ONE_TEXT = b"\x00" + b"\x01\x02ab" + b"\x04\x03\x00\x00\x00cde"
STAMPED_TEXT = b"\x08" + bytes(8) + b"\x01\x00" + b"\x01\x01a"


def test_texts_are_as_long_as_they_say() -> None:
    whole = b"\x01\x02" + ONE_TEXT + STAMPED_TEXT
    assert are_whole_texts(whole, 2)
    assert are_whole_texts(b"\x04\x01\x00\x00\x00" + ONE_TEXT, 2)
    assert are_whole_texts(b"\x01\x00", 2)
    assert not are_whole_texts(whole + b"\x00", 2)
    assert not are_whole_texts(whole, 1)
    assert not are_whole_texts(b"\x04\xff\xff\xff\xff" + ONE_TEXT, 2)
    assert not are_whole_texts(whole.replace(b"\x01\x02ab", b"\x02\x02ab"), 2)
    assert not are_whole_texts(whole.replace(b"\x08", b"\x07"), 2)
    for size in range(len(whole)):
        assert not are_whole_texts(whole[:size], 2)


def test_the_ends_of_a_chunk() -> None:
    found = decode_samples(encode_two(np.array([3.0, 4.0, 5.0]), LAYOUT), LAYOUT, 0.0)
    assert found is not None
    assert found[0].tolist() == [3.0, 5.0]


HEADER = (
    "<info><channel_format>{}</channel_format><channel_count>{}</channel_count>"
    "<nominal_srate>{}</nominal_srate></info>"
)


def test_layouts() -> None:
    assert layout_of(HEADER.format("string", 2, 0)) == SampleLayout(None, 2, 0.0)
    assert layout_of(HEADER.format("int16", 3, 2)) == LAYOUT
    irregular = layout_of(HEADER.format("double64", 1, 0))
    assert (irregular.interval_s, irregular.n_bytes) == (0.0, 8)


@pytest.mark.parametrize(
    "header", [HEADER.format("float99", 1, 0), HEADER.format("int8", 0, 1), "<info/>"]
)
def test_headers_that_make_no_sense(header: str) -> None:
    with pytest.raises(ValueError, match="format|channels"):
        layout_of(header)
