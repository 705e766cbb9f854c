"""The choice of a variable's tracker."""

from __future__ import annotations

from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.dense_tracker import DenseTracker
from bela_module.tracking.prompt_sparse import PromptSparseTracker
from bela_module.tracking.sparse_tracker import MonitorTracker
from bela_module.tracking.trackers import tracker_for

TOUCH = Variable(3, "touch", ValueType.DOUBLE, sparse=True)
POT = Variable(0, "pot", ValueType.FLOAT)


def test_each_variable_gets_its_tracker() -> None:
    assert isinstance(tracker_for(POT), DenseTracker)
    assert type(tracker_for(TOUCH)) is PromptSparseTracker
    assert isinstance(tracker_for(POT, monitor=True), MonitorTracker)
    assert isinstance(tracker_for(TOUCH, monitor=True), MonitorTracker)
