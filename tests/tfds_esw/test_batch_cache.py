"""A batch that is stored during a build is read back as it was, or refused."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from keras_micromag.utils.files import PARTIAL
from tfds_esw.batch_cache import BatchCache

ARRAYS = {"a": np.arange(5.0), "b": np.array([True, False]), "c": np.array(3)}


def test_arrays_are_loaded_as_they_were_saved(tmp_path):
    cache = BatchCache(tmp_path / "new" / "folder", ARRAYS)
    assert cache.load("one") is None
    cache.save("one", ARRAYS)
    loaded = BatchCache(tmp_path / "new" / "folder", ARRAYS).load("one")
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
    cache.clear()
    assert cache.load("one") is None and not cache.folder.exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "swapped", "an array"])
def test_a_damaged_file_is_refused_with_a_warning(damage, tmp_path):
    cache = BatchCache(tmp_path, ARRAYS)
    cache.save("one", ARRAYS)
    [path] = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[content.index(ARRAYS["a"].tobytes())] ^= 1
    path.write_bytes(
        {"cut": content[:-1], "empty": b"", "swapped": content[::-1]}.get(damage, content)
    )
    if damage == "an array":
        with path.open("wb") as file:
            np.save(file, ARRAYS["a"])
    with pytest.warns(UserWarning, match=r"one\.npz is damaged: its simulations are repeated\.$"):
        assert cache.load("one") is None
    cache.save("one", ARRAYS)
    assert cache.load("one") is not None


@pytest.mark.slow
@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_a_changed_byte_is_harmless_or_refused_with_a_warning(bits, tmp_path):
    # The archive's own headers, of which parts have no checksum, are among the bytes.
    cache = BatchCache(tmp_path, ARRAYS)
    cache.save("one", ARRAYS)
    [path] = tmp_path.iterdir()
    content, refused = path.read_bytes(), 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded = cache.load("one")
        if loaded is None:
            assert [str(w.message).endswith("simulations are repeated.") for w in caught] == [True]
            refused += 1
        else:
            assert not caught and loaded.keys() == ARRAYS.keys()
            for name, array in ARRAYS.items():
                np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert refused > len(content) * 3 // 4, "at least the arrays and their headers"


def test_a_copy_of_another_file_is_refused(tmp_path):
    one, other = BatchCache(tmp_path / "one", ARRAYS), BatchCache(tmp_path / "other", ARRAYS)
    one.save("a", ARRAYS)
    other.save("a", ARRAYS)
    (one.folder / "b.npz").write_bytes((one.folder / "a.npz").read_bytes())
    with pytest.warns(UserWarning, match=r"b\.npz is a copy of one/a: .* repeated\.$"):
        assert one.load("b") is None
    (one.folder / "a.npz").write_bytes((other.folder / "a.npz").read_bytes())
    with pytest.warns(UserWarning, match=r"a\.npz is a copy of other/a: .* repeated\.$"):
        assert one.load("a") is None


OTHERS = {
    "fewer": {"a": ARRAYS["a"], "b": ARRAYS["b"]},
    "more": {**ARRAYS, "d": np.zeros(3)},
    "another shape": {**ARRAYS, "a": np.zeros(4)},
    "another dtype": {**ARRAYS, "a": np.zeros(5, "float32")},
}


@pytest.mark.parametrize("others", OTHERS)
def test_a_file_with_other_features_is_refused(others, tmp_path):
    BatchCache(tmp_path, ARRAYS).save("one", OTHERS[others])
    with pytest.warns(UserWarning, match=r"one\.npz holds other features: .* repeated\.$"):
        assert BatchCache(tmp_path, ARRAYS).load("one") is None


@pytest.mark.slow
def test_a_failed_save_leaves_the_older_file(tmp_path, monkeypatch):
    cache = BatchCache(tmp_path, ARRAYS)
    cache.save("one", ARRAYS)
    # More than a file may be long, so that the write fails as on a full disk.
    code = f"""if True:
        import resource, numpy as np
        from tfds_esw.batch_cache import BatchCache
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            BatchCache({str(tmp_path)!r}, {{}}).save("one", {{"a": np.zeros(10_000)}})
        except OSError as error:
            print("failed:", error)
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    sentence = f"failed: `data_dir` must be a folder that can be written; {tmp_path} cannot: File t"
    assert ran.stdout.startswith(sentence), ran.stderr
    assert os.listdir(tmp_path) == ["one.npz"]
    assert cache.load("one").keys() == ARRAYS.keys()


def test_files_of_killed_processes_and_older_versions_are_removed(tmp_path):
    cache = BatchCache(tmp_path, ARRAYS)
    cache.save("one", ARRAYS)
    for name in ("two.kept", "two.1234.partial", f"{PARTIAL}1234-two.npz"):
        (tmp_path / name).write_bytes(b"half")
    cache.remove_unfinished()
    assert os.listdir(tmp_path) == ["one.npz"]
    BatchCache(tmp_path / "none", ARRAYS).remove_unfinished()


@pytest.mark.slow
def test_the_lock_is_held_by_one_process_and_ends_with_it(tmp_path):
    cache = BatchCache(tmp_path / ".kept" / "digest", ARRAYS)
    with cache.locked(), pytest.raises(OSError, match="must not be built into by two processes"):
        with BatchCache(cache.folder, ARRAYS).locked():
            pass
    assert not cache.folder.parent.exists(), "and leaves nothing"
    code = f"""if True:
        import os, signal
        from tfds_esw.batch_cache import BatchCache
        with BatchCache({str(cache.folder)!r}, {{}}).locked():
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert cache.folder.parent.exists()
    with cache.locked():
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    sentence = (
        r"`data_dir` must be a folder that can be written; .*file.* cannot: Not a directory\.$"
    )
    cache = BatchCache(tmp_path / "file" / ".kept" / "x", ARRAYS)
    with pytest.raises(OSError, match=sentence), cache.locked():
        pass
