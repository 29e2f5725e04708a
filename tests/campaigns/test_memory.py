"""A few hundred calls of the campaign `memory`."""

import pytest

from tests.campaigns import memory

ALLOWED = 4.0
"""Growth in MB that counts as none: what is allocated in pages, and other threads take."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["simulate by steps", "layers that are made"])
def test_memory_does_not_grow(kind, monkeypatch):
    # Each shape is compiled, which takes longer than all calls.
    monkeypatch.setattr(memory, "GRAINS", (1, 3))
    monkeypatch.setattr(memory, "BATCHES", (1, 2))
    *_, before, after = memory.memory(kind, count=180, seed=0, parts=3)
    assert after - before < ALLOWED
