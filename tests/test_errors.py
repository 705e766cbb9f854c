"""The error tree: what it promises to callers, and that its messages say what to do."""

from __future__ import annotations

import inspect
import pickle

import pytest

from bela_module import errors
from bela_module.errors import (
    BelaError,
    BoardError,
    ConnectError,
    DisconnectedError,
    NoReplyError,
    RequestError,
    UnknownVariableError,
    UnreadableReplyError,
)

_CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if value.__module__ == errors.__name__
]

_EXAMPLES = [
    UnknownVariableError(["pot9"], ["pot1", "pot2"]),
    ConnectError("ws://127.0.0.1:5555/gui_data", "refused"),
    NoReplyError("list", "ws://127.0.0.1:5555/gui_control", 2.0, "the state is as before"),
    UnreadableReplyError("list", "ws://127.0.0.1:5555/gui_control", 2.0, "'tick' is None"),
    RequestError("buffer_id -1 is not in 0 to 4294967295"),
]


def test_one_base_catches_everything() -> None:
    assert len(_CLASSES) > 5
    assert all(issubclass(each, BelaError) for each in _CLASSES)


@pytest.mark.parametrize("each", _CLASSES, ids=lambda each: each.__name__)
def test_every_class_is_in_the_tree_that_the_module_shows(each: type[BelaError]) -> None:
    assert f"``{each.__name__}``" in (errors.__doc__ or "")


def test_whatever_the_board_does_is_a_board_error() -> None:
    for each in (ConnectError, NoReplyError, DisconnectedError):
        assert issubclass(each, BoardError)
    assert issubclass(UnknownVariableError, RequestError)


def test_unknown_variable_names_what_is_missing_and_what_is_there() -> None:
    error = UnknownVariableError(["pot9", ""], ["pot1", "pot2"])
    assert str(error) == "the board has no variable 'pot9', ''; it offers 'pot1', 'pot2'"
    assert error.names == ("pot9", "")
    assert error.available == ("pot1", "pot2")


def test_unknown_variable_shortens_a_long_list() -> None:
    text = str(UnknownVariableError(["x"], [f"v{k}" for k in range(124)]))
    assert text.endswith("'v19' and 104 more")
    assert "'v20'" not in text


def test_unknown_variable_of_a_board_without_any() -> None:
    assert str(UnknownVariableError(["x"], [])).endswith("it offers none")


def test_connect_error_says_where_why_and_what_to_look_at() -> None:
    text = str(ConnectError("ws://127.0.0.1:5555/gui_data", "refused"))
    assert "ws://127.0.0.1:5555/gui_data: refused" in text
    assert "is the board on" in text


def test_no_reply_says_what_where_how_long_and_what_was_last_seen() -> None:
    text = str(NoReplyError("unwatch of pot1", "ws://127.0.0.1:5555", 0.25, "pot1 is watched"))
    assert "'unwatch of pot1'" in text
    assert "ws://127.0.0.1:5555 in 0.2 s" in text
    assert "(last seen: pot1 is watched)" in text
    assert "last seen" not in str(NoReplyError("list", "ws://127.0.0.1:5555", 2.0))


def test_an_unreadable_reply_is_not_called_missing() -> None:
    text = str(UnreadableReplyError("list", "ws://127.0.0.1:5555", 2.0, "'name' is 1"))
    assert text.startswith("the reply to 'list' from ws://127.0.0.1:5555 cannot be read: 'name'")
    assert "version of Watcher?" in text


@pytest.mark.parametrize("error", _EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_the_way_between_processes(error: BelaError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
