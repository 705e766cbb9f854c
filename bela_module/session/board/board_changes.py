"""What this session has changed on the board and still has to undo.

Watches, monitors and control belong to the board and outlive a connection.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class BoardChanges:
    """Variables that may still be watched, monitored or controlled because of this session.

    Attributes
    ----------
    controlled : set of str
        Variables under the control of this session.
    releasing : set of str
        Those of them that the board was told to release, without a confirmation yet.
    left : set of str
        Variables that may still be watched or monitored on a board that went away.
    """

    controlled: set[str] = field(default_factory=set)
    releasing: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    _clean_until_s: float = -math.inf

    # ---- watches and monitors -------------------------------------------------------------

    def note_left(self, names: Iterable[str], until_s: float) -> None:
        """Note variables that the board could not be told to end.

        Parameters
        ----------
        names : iterable of str
            The variables.
        until_s : float
            Until when to connect just to end them.
        """
        self.left.update(names)
        self._clean_until_s = until_s

    def ended(self, names: Iterable[str]) -> None:
        """Note that the board has ended the watches and monitors of some variables."""
        self.left.difference_update(names)

    def needs_cleaning(self, now_s: float) -> bool:
        """Tell whether a connection is to be made just to end what is left."""
        return bool(self.left) and now_s < self._clean_until_s

    # ---- control --------------------------------------------------------------------------

    def take_control(self, names: Collection[str]) -> None:
        """Note that control of some variables is asked for."""
        self.controlled.update(names)
        self.releasing.difference_update(names)

    def ask_release(self, names: Collection[str]) -> None:
        """Note that the board is told to give control back."""
        self.releasing.update(names)

    def released(self, names: Collection[str]) -> None:
        """Note that the board has confirmed the release."""
        self.controlled.difference_update(names)
        self.releasing.difference_update(names)

    def forget_missing(self, listed: Collection[str]) -> None:
        """Forget controlled variables that the board does not list any more."""
        self.controlled.intersection_update(listed)

    def compare_control(self, controlled: Collection[str]) -> set[str]:
        """Compare with what the board says is controlled.

        Parameters
        ----------
        controlled : collection of str
            Variables that a reply to ``list`` calls controlled.

        Returns
        -------
        set of str
            Variables whose control was lost without being released by this session.
        """
        lost = self.controlled.difference(controlled)
        self.controlled -= lost
        unexpected = lost - self.releasing
        self.releasing -= lost
        return unexpected
