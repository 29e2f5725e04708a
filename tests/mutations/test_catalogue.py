"""The catalogue follows the source: `python -m tests.mutations` runs it."""

import pytest

from tests.mutations.__main__ import ROOT
from tests.mutations.catalogue import MUTATIONS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_source(mutation):
    source = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert source.count(mutation.old) == 1
    mutated = source.replace(mutation.old, mutation.new)
    assert mutated != source
    compile(mutated, mutation.file, "exec")
    assert all((ROOT / path).exists() for path in mutation.tests.split())


def test_mutations_have_names_of_their_own():
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 30
