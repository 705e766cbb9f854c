"""What takes the place of pybela's Logger."""

from __future__ import annotations

import pytest

from bela_module import Logger
from bela_module.errors import RequestError


def test_it_says_what_to_use_instead() -> None:
    with pytest.raises(RequestError, match="saving_enabled=True"):
        Logger("127.0.0.1", port=5555)
