"""Times of the clock: intervals between probes, when it is ready, span of arrivals."""

from __future__ import annotations

from typing import Final

READY_WAIT_S: Final = 5.0
"""Time after which stamps begin with whatever uncertainty there is."""

SLOW_NETWORK_READY_S: Final = 0.6
"""Time after which stamps begin when round trips alone limit the uncertainty."""

READY_ROUND_TRIPS: Final = 4.0
"""The same in round trips, where these take longer."""

QUICK_PROBE_INTERVAL_S: Final = 0.015
"""Wait between a reply and the next probe at the start and after a misfit."""

STEADY_PROBE_INTERVAL_S: Final = 0.23
"""Wait between a reply and the next probe otherwise."""

ARRIVAL_SPAN_S: Final = 0.5
"""Span of time of whose block arrivals the one with the least delay is kept."""
