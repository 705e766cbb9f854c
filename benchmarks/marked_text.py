"""Tables that programs write into documents, between two marks."""

from __future__ import annotations

from pathlib import Path


def write_between_marks(path: Path, text: str, program: str) -> None:
    """Replace what stands between the two marks of a program.

    Parameters
    ----------
    path : Path
        The document.
    text : str
        What is to stand there.
    program : str
        The name of the program in the marks, such as ``benchmarks/truth.py``.

    Raises
    ------
    ValueError
        When the file has not both marks.
    """
    begin_mark = f"<!-- {program} writes from here -->"
    end_mark = f"<!-- {program} writes to here -->"
    head, begin, rest = path.read_text(encoding="utf-8").partition(begin_mark)
    _, end, tail = rest.partition(end_mark)
    if not end:
        raise ValueError(f"{path} needs the lines {begin_mark} and {end_mark}")
    path.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")
