"""Operators in files: saved, loaded, and refused."""

import os
import re

import numpy as np
import pytest

from keras_micromag.physics import (
    DemagOperator,
    Microstructure,
    cubic_grains,
    demag_operator,
    random_easy_axes,
    simulate,
)
from keras_micromag.utils import files, memory
from tests.physics.field.magnets import FEW, made, magnet

CASES = [
    ("few cubes", "dense", "float64"),
    ("few cubes", "lattice", "float32"),
    ("few cubes", "lattice", "float64"),
    ("few grains", "hierarchical", "float32"),
]


def arrays(product):
    """Return the arrays of a product by name, in tuples."""
    return {
        name: part if isinstance(part, tuple) else (part,)
        for name, part in product._asdict().items()
    }


@pytest.fixture
def kept(tmp_path):
    """The file of an operator for some cubes."""
    path = tmp_path / "operator"
    made("few cubes", "lattice").save(path)
    return path


@pytest.mark.parametrize("self_field", [False, True, "nucleus"], ids=["others", "own", "nucleus"])
@pytest.mark.parametrize(("name", "kind", "dtype"), CASES)
def test_a_loaded_operator_equals_the_saved_one(name, kind, dtype, self_field, tmp_path):
    operator = made(name, kind, self_field, dtype)
    # As another process makes it.
    structure = FEW[name]()
    operator.save(tmp_path / "operator")
    back = DemagOperator.load(tmp_path / "operator", structure)
    assert os.listdir(tmp_path) == ["operator"]
    assert back.structure is structure
    for attribute in ("kind", "self_field", "dtype", "rtol", "error", "nbytes"):
        assert getattr(back, attribute) == getattr(operator, attribute)
        assert type(getattr(back, attribute)) is type(getattr(operator, attribute))
    np.testing.assert_array_equal(back.places, operator.places)
    assert type(back.product) is type(operator.product)
    parts, computed = arrays(operator.product), arrays(back.product)
    assert parts.keys() == computed.keys()
    for label, part in parts.items():
        assert len(part) == len(computed[label])
        for one, other in zip(part, computed[label], strict=True):
            assert one.dtype == other.dtype
            assert other.ctypes.data % memory.ALIGNED == 0
            np.testing.assert_array_equal(one, other)


KEYS = {
    "dense": {"matrix"},
    "lattice": {"kernel", "sites"},
    "hierarchical": {"blocks 0", "sources 0", "charges", "grain", "onto", "source_steps"}
    | {"kernel", "room", "slopes", "at", "target_steps"},
}


@pytest.mark.parametrize("kind", KEYS)
def test_the_keys_of_files_stay(kind, tmp_path):
    # Whatever the arrays are called in the code: files of earlier versions must load.
    structure = "few grains" if kind == "hierarchical" else "few cubes"
    made(structure, kind).save(tmp_path / "operator")
    with np.load(tmp_path / "operator") as stored:
        keys = {key for key in stored.files if not key.endswith((" 1", " 2", " 3"))}
    settings = {"kind", "self_field", "rtol", "error", "format", "places", "structure"}
    assert keys == KEYS[kind] | settings


@pytest.mark.slow
def test_it_serves_loops(tmp_path):
    axes = random_easy_axes(len(magnet("few grains")), seed=1)
    operator = made("few grains", "hierarchical", False, "float32")
    operator.save(tmp_path / "operator")
    structure = FEW["few grains"]()
    back = DemagOperator.load(tmp_path / "operator", structure)
    field = np.linspace(8.0, -8.0, 9)
    options = {"field": field, "self_field": False}
    loop = simulate(magnet("few grains"), axes, operator=operator, **options)
    again = simulate(structure, axes, operator=back, **options)
    np.testing.assert_array_equal(loop.magnetization, again.magnetization)


def test_an_operator_of_another_structure_is_refused(kept):
    for other in (cubic_grains((4, 2, 1)), cubic_grains((2, 4, 1), gap=0.0)):
        sentence = (
            rf"`structure` must be that for which .*{re.escape(str(kept))} was made; received"
        )
        with pytest.raises(ValueError, match=sentence):
            DemagOperator.load(kept, other)
    with pytest.raises(ValueError, match="`structure` must be a Microstructure"):
        DemagOperator.load(kept, "cubes")


@pytest.mark.parametrize(
    "damage", ["cut", "changed", "other arrays", "other sites", "no archive", "older"]
)
def test_a_damaged_file_is_refused(damage, kept, monkeypatch):
    content = kept.read_bytes()
    if damage == "cut":
        kept.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        middle = content.index(b"kernel") + 400
        kept.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "other arrays":
        with open(kept, "wb") as file:
            np.savez(file, fields=np.zeros(3))
    elif damage == "other sites":
        arrays = files.read_arrays(kept)
        with open(kept, "wb") as file:
            np.savez(file, **arrays | {"sites": arrays["sites"][:1]})
    elif damage == "no archive":
        kept.write_text("fields")
    else:
        monkeypatch.setattr("keras_micromag.physics.field.stored._FORMAT", 2)
    with pytest.raises(ValueError, match=r"`path` must be a file that `DemagOperator\.save` wrote"):
        DemagOperator.load(kept, magnet("few cubes"))


def test_where_there_is_no_file_or_no_folder_the_system_tells(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        DemagOperator.load(tmp_path / "nothing", magnet("few cubes"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        made("few cubes", "dense").save(tmp_path / "nowhere" / "operator")
    assert os.listdir(tmp_path) == []


def test_a_failed_save_keeps_the_older_file(kept, monkeypatch):
    def fails(file, **arrays):
        file.write(b"PK")
        raise OSError("no space left")

    before = kept.read_bytes()
    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="no space left"):
        made("few cubes", "dense").save(kept)
    assert kept.read_bytes() == before
    assert os.listdir(kept.parent) == ["operator"]


def test_the_memory_is_checked_before_reading(kept, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(MemoryError, match=rf"the operator in {re.escape(str(kept))} needs .* GB"):
        DemagOperator.load(kept, magnet("few cubes"))


def test_a_structure_that_was_saved_itself_has_the_same(tmp_path):
    structure = Microstructure.from_config(magnet("few grains").get_config())
    demag_operator(structure, "dense").save(tmp_path / "operator")
    assert DemagOperator.load(tmp_path / "operator", magnet("few grains")).kind == "dense"
