"""Print the processor time of the tests by module, with that of processes they started.

KERAS_BACKEND=jax python -m pytest -p tests.cost -m "not integration"
"""

import os
from collections import Counter

import pytest

_BEGAN = pytest.StashKey[float]()
_spent, _number = Counter(), Counter()


def _processor_time():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    item.stash[_BEGAN] = _processor_time()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    # Of what was done so far: the last report, on what was torn down, has it all.
    report.user_properties = [("processor time", _processor_time() - item.stash[_BEGAN])]
    return report


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        module = report.nodeid.partition("::")[0]
        _spent[module] += dict(report.user_properties)["processor time"]
        _number[module] += 1


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("processor time")
    for module, spent in _spent.most_common():
        terminalreporter.line(f"{spent:7.1f} s {_number[module]:5} tests  {module}")
    terminalreporter.line(f"{_spent.total():7.1f} s {_number.total():5} tests")
