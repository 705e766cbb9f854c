"""Record of probes that contradict the fit, and the uncertainty they add meanwhile. Pure."""

from __future__ import annotations

from typing import Final

from bela_module.clock.clock_fit import Probe

MISFITS_TO_RELEARN: Final = 3
_MISFIT_SHARE: Final = 0.4  # for each fitting probe there must be more misfits than this
_FITS_TO_CLEAR: Final = 8


class MisfitRecord:
    """Probes that contradicted the fit since the last time that it was beyond doubt.

    `extra_uncertainty_s` is the largest amount by which one missed every line; `n_seen` counts
    them, those that stand for the same tick included.
    """

    def __init__(self) -> None:
        self.probes: list[Probe] = []
        self.clear()

    def clear(self) -> None:
        """Forget the misfits: the fit is trusted again."""
        self.probes.clear()
        self.n_seen = 0
        self.extra_uncertainty_s = 0.0
        self._fits_since_misfit = 0
        self._fits_among_misfits = 0

    def add(self, probe: Probe, missed_s: float) -> None:
        """Add a probe that missed every line by some seconds."""
        if self.probes and self.probes[-1].tick == probe.tick:
            self.probes.pop()  # ticks that stand still count as one misfit, until they go on
        self.probes.append(probe)
        self.n_seen += 1
        self._fits_since_misfit = 0
        self.extra_uncertainty_s = max(self.extra_uncertainty_s, missed_s)

    def add_fit(self) -> None:
        """Count a probe that fits; some in a row clear the record."""
        # slow exchanges fit almost anything: only several of them count as evidence
        self._fits_since_misfit += 1
        self._fits_among_misfits += bool(self.probes)
        if self._fits_since_misfit >= _FITS_TO_CLEAR:
            self.clear()

    @property
    def outweigh_fits(self) -> bool:
        """Whether so many probes did not fit that older bounds must be wrong."""
        n_misfits = len(self.probes)
        often = n_misfits > _MISFIT_SHARE * self._fits_among_misfits
        return often and n_misfits >= MISFITS_TO_RELEARN
