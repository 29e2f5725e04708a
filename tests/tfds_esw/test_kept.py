"""Batches that are stored during a build are complete or not there."""

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_micromag.utils.files import PARTIAL
from tfds_esw.kept import Kept

ARRAYS = {"a": np.arange(5.0), "b": np.array([True, False]), "c": np.array(3)}


def test_what_is_saved_is_loaded(tmp_path):
    kept = Kept(tmp_path / "new" / "folder", ARRAYS)
    assert kept.load("one") is None
    kept.save("one", ARRAYS)
    loaded = Kept(tmp_path / "new" / "folder", ARRAYS).load("one")
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
    kept.clear()
    assert kept.load("one") is None and not kept.folder.exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "swapped"])
def test_damage_is_told_and_nothing_is_taken(damage, tmp_path):
    kept = Kept(tmp_path, ARRAYS)
    kept.save("one", ARRAYS)
    [path] = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes(
        {"cut": content[:-1], "empty": b"", "swapped": content[::-1]}.get(damage, content)
    )
    with pytest.warns(UserWarning, match=r"one\.kept does not match its digest: .* made again\.$"):
        assert kept.load("one") is None
    kept.save("one", ARRAYS)
    assert kept.load("one") is not None


def test_a_copy_of_another_file_is_told_and_not_taken(tmp_path):
    one, other = Kept(tmp_path / "one", ARRAYS), Kept(tmp_path / "other", ARRAYS)
    one.save("a", ARRAYS)
    other.save("a", ARRAYS)
    (one.folder / "b.kept").write_bytes((one.folder / "a.kept").read_bytes())
    with pytest.warns(UserWarning, match=r"b\.kept is a copy of one/a: .* made again\.$"):
        assert one.load("b") is None
    (one.folder / "a.kept").write_bytes((other.folder / "a.kept").read_bytes())
    with pytest.warns(UserWarning, match=r"a\.kept is a copy of other/a: .* made again\.$"):
        assert one.load("a") is None


@pytest.mark.parametrize("names", ["ab", "abcd"])
def test_other_features_are_told_and_not_taken(names, tmp_path):
    Kept(tmp_path, ARRAYS).save("one", ARRAYS)
    with pytest.warns(UserWarning, match=r"one\.kept holds other features: .* made again\.$"):
        assert Kept(tmp_path, names).load("one") is None


@pytest.mark.slow
def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    kept = Kept(tmp_path, ARRAYS)
    kept.save("one", ARRAYS)
    # More than a file may be long, so that the write fails as on a full disk.
    code = f"""if True:
        import resource, numpy as np
        from tfds_esw.kept import Kept
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            Kept({str(tmp_path)!r}, "a").save("one", {{"a": np.zeros(10_000)}})
        except OSError as error:
            print("failed:", error)
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "failed:" in ran.stdout, ran.stderr
    assert os.listdir(tmp_path) == ["one.kept"]
    assert kept.load("one").keys() == ARRAYS.keys()


def test_partial_files_of_dead_processes_are_removed(tmp_path):
    kept = Kept(tmp_path, ARRAYS)
    kept.save("one", ARRAYS)
    (tmp_path / "two.1234.partial").write_bytes(b"half")
    (tmp_path / f"{PARTIAL}1234-two.kept").write_bytes(b"half")
    kept.remove_partial()
    assert os.listdir(tmp_path) == ["one.kept"]


@pytest.mark.slow
def test_a_lock_is_held_by_one_and_lost_with_its_process(tmp_path):
    kept = Kept(tmp_path / ".kept" / "digest", ARRAYS)
    with kept.alone(), pytest.raises(OSError, match="must not be built into by two processes"):
        with Kept(kept.folder, ARRAYS).alone():
            pass
    assert not kept.folder.parent.exists(), "and leaves nothing"
    code = f"""if True:
        import os, signal
        from tfds_esw.kept import Kept
        with Kept({str(kept.folder)!r}, "a").alone():
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert kept.folder.parent.exists()
    with kept.alone():
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    sentence = (
        r"`data_dir` must be a folder that can be written; .*file.* cannot: Not a directory\.$"
    )
    kept = Kept(tmp_path / "file" / ".kept" / "x", ARRAYS)
    with pytest.raises(OSError, match=sentence), kept.alone():
        pass
