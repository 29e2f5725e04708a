"""Loops that are killed and continued, with results equal to the last bit."""

import dataclasses
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_micromag.physics import (
    MATERIALS,
    ConvergenceError,
    DemagOperator,
    Microstructure,
    cubic_grains,
    demag_operator,
    random_easy_axes,
    simulate,
)
from keras_micromag.physics.solver import checkpoint, field_steps, problem
from keras_micromag.utils import versions
from keras_micromag.utils.files import PARTIAL
from tests import oracles, waiting
from tests.keras_parts import precision

SMCO5 = MATERIALS["SmCo5"]

# Strides over fields and avalanches, in three calls of the solver.
FIELD = np.concatenate([[8.0], np.linspace(0.0, -2.0, 40), np.linspace(-2.5, -5.0, 26)])
SHORT = FIELD[[0, *range(-26, 0)]]
MAGNET, AXES = cubic_grains((2, 2, 2)), random_easy_axes((2, 8), seed=2)
CALLS = 3


def loop(structure=MAGNET, easy_axes=AXES, **options):
    """Simulate the loop of all processes."""
    return simulate(structure, easy_axes, **{"field": FIELD, **options})


def irregular():
    """Return grains with different numbers of particles, for which the solver pads its arrays."""
    cells = [oracles.moved(body, scale=60e-9) for body in oracles.voronoi_cells(seed=3, count=5)]
    return Microstructure(cells, depth=1e-9)


def assert_equal(actual, expected):
    np.testing.assert_array_equal(actual.trust.error, expected.trust.error)
    for field in dataclasses.fields(expected):
        if field.name == "trust":
            continue
        ours, theirs = getattr(actual, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(ours, theirs, field.name, strict=True)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def undisturbed():
    return loop()


class Calls(list):
    """The solver's calls; after as many as `limit` the user presses Ctrl-C."""

    limit = np.inf


def _counted(patch):
    made, advance = Calls(), field_steps.advance

    def counted(*arguments):
        if len(made) == made.limit:
            raise KeyboardInterrupt
        made.append(1)
        return advance(*arguments)

    patch.setattr(field_steps, "advance", counted)
    patch.setattr(checkpoint, "_SAVED_EVERY", 0.0)
    return made


@pytest.fixture
def calls(monkeypatch):
    """Count the solver's calls, after each of which the checkpoint is written at once."""
    return _counted(monkeypatch)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A folder of a loop that the user stopped before its last call."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        made = _counted(patch)
        made.limit = CALLS - 1
        with pytest.raises(KeyboardInterrupt):
            loop(checkpoint=folder)
    parts = [f"part-000{i}.npz" for i in range(1, CALLS)]
    assert names(folder) == ["lock", *parts, "settings.json", "state.npz"]
    return folder


@pytest.fixture
def begun(stopped, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(stopped, tmp_path / "kept"))


# What goes on


@pytest.mark.integration
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_a_killed_process_is_followed_by_another(undisturbed, calls, tmp_path):
    folder, there = tmp_path / "new" / "kept", tmp_path / "there"
    code = f"""if True:
        import pathlib, signal
        from keras_micromag.physics.solver import checkpoint, field_steps
        from tests.physics.solver.test_checkpoint import loop

        advance, calls = field_steps.advance, []

        def stopping(*arguments):
            if len(calls) == {CALLS - 1}:
                pathlib.Path({str(there)!r}).touch()
                signal.pause()
            calls.append(1)
            return advance(*arguments)

        checkpoint._SAVED_EVERY, field_steps.advance = 0.0, stopping
        loop(checkpoint={str(folder)!r})
    """
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    try:
        waiting.wait_until(lambda: there.exists() or process.poll() is not None)
        before = contents(folder)
        with pytest.raises(ValueError, match=r"`checkpoint` must be .* that no other process uses"):
            loop(checkpoint=folder)
        assert contents(folder) == before and not calls
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert_equal(loop(checkpoint=folder), undisturbed)
    assert len(calls) == 1, "it went on from there"
    assert contents(folder).items() >= {k: v for k, v in before.items() if "part" in k}.items()


@pytest.mark.parametrize(
    ("folder", "write"), [("new", 0), ("new", 1), ("new", 2), ("kept", 0), ("kept", 1)]
)
def test_stopped_in_a_write(undisturbed, calls, begun, monkeypatch, folder, write):
    replace, written = os.replace, []

    def stopping(partial, path):
        if len(written) == write:
            raise KeyboardInterrupt
        written.append(path)
        replace(partial, path)

    folder = begun.with_name(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopping)
        with pytest.raises(KeyboardInterrupt):
            loop(checkpoint=folder)
    calls.clear()
    assert_equal(loop(checkpoint=folder), undisturbed)
    assert len(calls) == (1 if folder == begun else CALLS), "none of these states came to be"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"structure": irregular(), "easy_axes": random_easy_axes(5, seed=6), "field": FIELD},
        {"operator": "lattice", "self_field": True, "initial_state": -AXES},
        pytest.param({"dtype": "float64", "easy_axes": AXES[:1]}, marks=pytest.mark.contract),
    ],
    ids=["irregular", "lattice", "float64"],
)
def test_stopped_between_any_two_calls(calls, tmp_path, options):
    options = {"field": SHORT, "dtype": "float32", **options}
    with precision(options["dtype"]):
        expected, total = loop(**options), len(calls)
        assert total > 1
        for calls.limit in range(total + 1, 2 * total):
            with pytest.raises(KeyboardInterrupt):
                loop(checkpoint=tmp_path, **options)
        calls.limit += 1
        assert_equal(loop(checkpoint=tmp_path, **options), expected)


@pytest.mark.slow
def test_a_loop_resumes_with_an_equal_operator(calls, tmp_path):
    options = {"field": SHORT, "operator": "hierarchical", "rtol": 1e-3}
    calls.limit = 1
    with pytest.raises(KeyboardInterrupt):
        loop(checkpoint=tmp_path, **options)
    calls.limit = np.inf
    expected = loop(**options)
    options["operator"] = demag_operator(MAGNET, "hierarchical", rtol=1e-3)
    assert_equal(loop(checkpoint=tmp_path, **options), expected)


def test_files_that_a_kill_left_half_written_are_replaced(undisturbed, begun):
    for name in ("part-0003.npz", "part-0004.npz.partial", "state.npz.partial"):
        (begun / name).write_bytes(b"half")
    temporary = [f"{PARTIAL}12ab-{name}" for name in ("part-0003.npz", "state.npz")]
    for name in temporary:
        (begun / name).write_bytes(b"half")
    assert_equal(loop(checkpoint=begun), undisturbed)
    assert not set(temporary) & set(names(begun))
    assert_equal(loop(checkpoint=begun), undisturbed)


def test_a_loop_killed_before_its_first_write_starts_again(undisturbed, tmp_path):
    for name in ("lock", "settings.json.partial", f"{PARTIAL}12ab-settings.json"):
        (tmp_path / name).write_text("{")
    assert_equal(loop(checkpoint=tmp_path), undisturbed)


def test_a_finished_loop_is_read_back(undisturbed, tmp_path, monkeypatch):
    loop(checkpoint=tmp_path)
    assert names(tmp_path) == ["lock", "part-0001.npz", "settings.json", "state.npz"]
    before = contents(tmp_path)
    monkeypatch.setattr(field_steps, "advance", None)
    monkeypatch.setattr(problem, "embed", None)
    assert_equal(loop(checkpoint=str(tmp_path)), undisturbed)
    assert contents(tmp_path) == before


def test_written_once_in_a_while_and_in_the_end(undisturbed, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_SAVED_EVERY", np.inf)
    calls.limit = 1
    with pytest.raises(KeyboardInterrupt):
        loop(checkpoint=tmp_path)
    assert names(tmp_path) == ["lock"]
    calls.limit = np.inf
    assert_equal(loop(checkpoint=tmp_path), undisturbed)


def test_a_complete_or_refused_loop_builds_no_operator(undisturbed, tmp_path, monkeypatch):
    loop(checkpoint=tmp_path)
    monkeypatch.setattr(DemagOperator, "build", lambda *_: pytest.fail("built"))
    assert_equal(loop(checkpoint=tmp_path), undisturbed)
    with pytest.raises(ValueError, match="whose loop differs in `tol`"):
        loop(checkpoint=tmp_path, tol=1e-4)


def test_a_step_without_equilibrium_raises_again_after_a_resume(calls, tmp_path):
    options = {"max_iterations": 3, "easy_axes": AXES[0]}
    with pytest.raises(ConvergenceError, match="found no equilibrium") as first:
        loop(checkpoint=tmp_path, **options)
    actual = loop(checkpoint=tmp_path, allow_unconverged=True, **options)
    assert actual.converged.any() and not actual.converged.all()
    calls.limit = 0
    with pytest.raises(ConvergenceError) as again:
        loop(checkpoint=tmp_path, **options)
    assert str(again.value) == str(first.value)


def test_a_batch_with_a_magnet_that_was_given_up_warns_again_after_a_resume(calls, tmp_path):
    options = {"max_iterations": 5, "checkpoint": tmp_path}
    with pytest.warns(UserWarning, match="magnets found no equilibrium"):
        first = loop(**options)
    assert first.converged.any() and not first.converged.all()
    calls.limit = 0
    with pytest.warns(UserWarning, match="magnets found no equilibrium"):
        again = loop(**options)
    assert_equal(again, first)


@pytest.mark.parametrize("error", [errno.ENOSYS, None])
def test_without_locks(begun, undisturbed, monkeypatch, error):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", flock)
    if error is None:  # as on Windows
        monkeypatch.setitem(sys.modules, "fcntl", None)
    assert_equal(loop(checkpoint=begun), undisturbed)


# What is refused


OTHER_LOOPS = {
    "gap": ({"structure": cubic_grains((2, 2, 2), gap=4e-9)}, "`structure`"),
    "depth": ({"structure": cubic_grains((2, 2, 2), depth=2e-9)}, "`structure`"),
    "fewer": ({"easy_axes": AXES[:1]}, "`easy_axes`, `initial_state`"),
    "reversed": ({"easy_axes": -AXES}, "`easy_axes`, `initial_state`"),
    "material": ({"material": SMCO5}, "`structure`, `material`"),
    "field": ({"field": FIELD[:-1]}, "`field`"),
    "direction": (
        {"field_direction": (0, 0, -1), "initial_state": AXES},
        "`field_direction` ([0.0, 0.0, 1.0] there, [0.0, 0.0, -1.0] here)",
    ),
    "self_field": ({"self_field": True}, "`self_field` (nucleus there, True here)"),
    "none": ({"self_field": False}, "`self_field` (nucleus there, False here)"),
    "initial_state": ({"initial_state": -AXES}, "`initial_state`"),
    "two": (
        {"avalanche": "simultaneous", "tol": 1e-4},
        "`avalanche` (weakest_first there, simultaneous here), `tol` (1e-05 there, 0.0001 here)",
    ),
    "operator": (
        {"operator": "hierarchical", "rtol": 1e-3},
        "`operator` (dense there, hierarchical within 0.001 here)",
    ),
    "given": ({"operator": demag_operator(MAGNET)}, "`operator` (dense there, given dense here)"),
    "max_iterations": ({"max_iterations": 999}, "`max_iterations` (5000 there, 999 here)"),
}


@pytest.mark.parametrize(("options", "differs"), OTHER_LOOPS.values(), ids=OTHER_LOOPS)
def test_the_folder_of_another_loop(begun, calls, options, differs):
    before = contents(begun)
    sentence = "^`checkpoint` must be an empty folder .*/kept, whose loop differs in "
    sentence += re.escape(f"{differs}.") + "$"
    with pytest.raises(ValueError, match=sentence):
        loop(checkpoint=begun, **options)
    assert contents(begun) == before and not calls


def test_an_operator_of_another_structure(begun):
    of_another = demag_operator(cubic_grains((2, 2, 2)))
    with pytest.raises(ValueError, match="`operator` must be made for the same structure"):
        loop(checkpoint=begun, operator=of_another)


def test_the_folder_of_another_version(begun, monkeypatch):
    version = versions.__version__
    monkeypatch.setattr(versions, "__version__", "9.9")
    sentence = rf"differs in `keras_micromag` \({version} there, 9.9 here\)"
    with pytest.raises(ValueError, match=sentence):
        loop(checkpoint=begun)


def test_the_folder_of_an_older_format(begun, calls):
    path = begun / "settings.json"
    settings = json.loads(path.read_text())
    now = settings.pop("format")
    path.write_text(json.dumps(settings))
    before = contents(begun)
    sentence = rf"whose loop differs in `format` \(None there, {now} here\)\.$"
    with pytest.raises(ValueError, match=sentence):
        loop(checkpoint=begun)
    assert contents(begun) == before and not calls


@pytest.mark.parametrize("name", ["notes.txt", "settings.json", f"{PARTIAL}12ab-notes.txt"])
def test_a_folder_of_other_files(tmp_path, name):
    (tmp_path / name).write_text("[]" if name == "settings.json" else "mine")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f"`checkpoint` must be .* other files, such as {name}"):
        loop(checkpoint=tmp_path)
    assert contents(tmp_path) == before


def test_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=r"`checkpoint` must be a folder; .* file is in its"):
            loop(checkpoint=path)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(ValueError, match="`checkpoint` must be the path of a folder; received 3"):
        loop(checkpoint=3)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _spoil(path):
    content = bytearray(path.read_bytes())
    name = {"part": b"moments.npy", "stat": b"tau.npy", "sett": b"structure"}[path.name[:4]]
    content[content.index(name) + len(name) + 200] ^= 1  # beyond NumPy's header
    path.write_bytes(content)


def _swap(path):
    others = {"part-0001.npz": "state.npz", "part-0002.npz": "part-0001.npz"}
    path.write_bytes((path.parent / others.get(path.name, "part-0001.npz")).read_bytes())


@pytest.mark.parametrize("name", ["part-0001.npz", "part-0002.npz", "state.npz", "settings.json"])
@pytest.mark.parametrize("damage", [_truncate, _spoil, _swap])
def test_a_damaged_file(begun, calls, name, damage):
    damage(begun / name)
    before = contents(begun)
    if (name, damage) == ("settings.json", _spoil):
        sentence = r"whose loop differs in `\w+`\."  # it is still JSON
    else:
        sentence = f"^`checkpoint` must be .*/kept the file {name} is damaged or missing"
    with pytest.raises(ValueError, match=sentence):
        loop(checkpoint=begun)
    assert contents(begun) == before and not calls


def _rewrite(path, name, change):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, name: change(arrays[name])})


@pytest.mark.parametrize("name", ["reached", *field_steps.State._fields])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[None],
        lambda array: array.astype("float16"),
        lambda array: array[..., :1],
    ],
    ids=["dimension", "dtype", "shape"],
)
def test_a_state_of_another_shape_or_dtype(begun, calls, name, change):
    _rewrite(begun / "state.npz", name, change)
    with pytest.raises(ValueError, match=r"the file state\.npz is damaged or missing"):
        loop(checkpoint=begun)
    assert not calls


@pytest.mark.parametrize("name", ["moments", "converged", "iterations", "reached"])
def test_a_part_of_another_shape(begun, calls, name):
    _rewrite(begun / "part-0002.npz", name, lambda array: array[:1])
    with pytest.raises(ValueError, match=r"the file part-0002\.npz is damaged or missing"):
        loop(checkpoint=begun)
    assert not calls


def test_a_missing_part(begun):
    (begun / "part-0001.npz").unlink()
    with pytest.raises(ValueError, match=r"the file part-0001\.npz is damaged or missing"):
        loop(checkpoint=begun)


# What cannot be written


@pytest.mark.parametrize("writes", [0, 1])
def test_a_full_disk(begun, undisturbed, monkeypatch, writes):
    savez, left = np.savez, writes

    def full(file, **arrays):
        nonlocal left
        if left == 0:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left -= 1
        savez(file, **arrays)

    before = contents(begun)
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        sentence = r"`checkpoint` cannot be written: .*/kept: No space left on device"
        with pytest.raises(OSError, match=sentence) as raised:
            loop(checkpoint=begun)
    assert raised.value.errno == errno.ENOSPC
    assert contents(begun).items() >= before.items()
    assert not list(begun.glob("*partial*"))
    assert_equal(loop(checkpoint=begun), undisturbed)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder where none can write")
def test_a_folder_where_none_can_write():
    with pytest.raises(OSError, match="`checkpoint` cannot be written: /proc/kept: No such file"):
        loop(checkpoint="/proc/kept")


def test_a_lock_that_is_none(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(
        OSError, match=f"`checkpoint` cannot be written: {tmp_path}: Is a directory"
    ):
        loop(checkpoint=tmp_path)
