"""Tells in one sentence that Bokeh, of the extra ``view``, is not installed."""

from __future__ import annotations

from bela_module.errors import ExtraMissingError


def require_bokeh() -> None:
    """Check that Bokeh can be imported.

    Raises
    ------
    ExtraMissingError
        When it cannot.
    """
    try:
        import bokeh  # noqa: F401
    except ImportError as error:
        raise ExtraMissingError("Bokeh, which draws the live page", "view") from error
