"""``Controller``: sets variables of the sketch, as in the Bela tutorials."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bela_module.errors import ArgumentError
from bela_module.protocol.variables import Variable
from bela_module.requests import Numbers, ReleaseRequest, Request, SetRequest
from bela_module.scripting.arguments import check_arguments
from bela_module.scripting.live_board import LiveBoard
from bela_module.validation import printable_name

logger = logging.getLogger(__name__)


class _Values(Request):
    values: Numbers


class Controller(LiveBoard):
    """Sets variables of a board.

    A controlled variable is what the sketch reads; what streams and is monitored is always what
    the sketch assigns. Control ends with :meth:`disconnect`, or with the program.
    """

    def start_controlling(self, variables: Sequence[str] | str = ()) -> None:
        """Take control of variables, confirmed by the board; they keep their values until set.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.
        """
        names = [variable.name for variable in self._choose(variables)]
        self._result(self._open_session().control(names), "control")

    def stop_controlling(self, variables: Sequence[str] | str = ()) -> None:
        """Give control of variables back to the sketch, confirmed by the board.

        Parameters
        ----------
        variables : sequence of str
            Which; by default all.
        """
        names = [variable.name for variable in self._choose(variables)]
        request = check_arguments(ReleaseRequest, variables=names)
        self._result(self._open_session().release(request), "uncontrol")

    def send_value(self, variables: Sequence[str] | str, values: Sequence[float] | float) -> None:
        """Set variables, confirmed by the board; control of them is taken if need be.

        Parameters
        ----------
        variables : sequence of str
            Which; at least one.
        values : sequence of float
            The value of each. Of a whole-number variable only the integer part is sent, which
            is logged as a warning.

        Raises
        ------
        ArgumentError
            When there are not as many.
        RequestError
            When a variable's type does not hold its value.
        """
        names = self._names(variables)
        numbers = check_arguments(_Values, values=values).values
        if len(names) != len(numbers) or len(set(names)) != len(names):
            raise ArgumentError(f"{len(numbers)} values for {len(set(names))} different variables")
        chosen = self._choose(names) if names else ()
        sent = {v.name: _whole_part(v, number) for v, number in zip(chosen, numbers, strict=True)}
        request = check_arguments(SetRequest, values=sent)
        self._result(self._open_session().set_values(request), "set")

    def get_controlled_status(self, variables: Sequence[str] | str = ()) -> dict[str, bool]:
        """Tell which variables are controlled, by any client; by default of all."""
        return {variable.name: variable.controlled for variable in self._choose(variables)}

    def get_value(self, variables: Sequence[str] | str = ()) -> dict[str, float]:
        """Tell what the sketch reads from variables, to 15 digits; by default from all."""
        return {variable.name: variable.value for variable in self._choose(variables)}


def _whole_part(variable: Variable, number: float) -> float:
    if variable.value_type.dtype.kind == "f" or float(number).is_integer():
        return number
    logger.warning(
        "%s = %s: it is %s; only the integer part is sent",
        printable_name(variable.name),
        number,
        variable.value_type.label,
    )
    return float(int(number))
