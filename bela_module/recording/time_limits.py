"""Times of recordings: period in which files are flushed."""

from __future__ import annotations

from typing import Final

FLUSH_PERIOD_S: Final = 1.0
"""Between two times at which what was written is handed to the operating system."""
