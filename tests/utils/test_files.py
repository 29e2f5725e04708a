"""Atomic writes and locks."""

import errno
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from etils import epath

from keras_micromag.utils import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", [str, lambda path: path, epath.Path])
def test_a_file_gets_its_name_when_it_is_complete(tmp_path, kind):
    path = tmp_path / "model.keras"
    with files.atomic_path(kind(path)) as partial:
        assert os.path.dirname(partial) == str(tmp_path)
        assert partial.suffix == ".keras", "from which Keras takes the format"
        partial.write_text("new")
        assert not path.exists()
    assert names(tmp_path) == ["model.keras"] and path.read_text() == "new"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(type(error)), files.atomic_open(path, "w") as file:
        file.write("half")
        raise error
    assert names(tmp_path) == ["file"] and path.read_text() == "old"


def test_an_error_before_the_file_is_made_is_raised(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic_open(tmp_path / "none" / "file", "w"):
        pass


def test_a_failed_rename_leaves_no_temporary_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError), files.atomic_open(tmp_path / "folder", "w") as file:
        file.write("text")
    assert names(tmp_path) == ["folder"]


def test_two_writers_at_once_both_write_their_own_file(tmp_path):
    path = tmp_path / "file"
    with files.atomic_open(path, "w") as first:
        with files.atomic_open(path, "w") as second:
            first.write("first")
            second.write("second")
        assert path.read_text() == "second"
    assert names(tmp_path) == ["file"] and path.read_text() == "first"


def test_the_temporary_file_of_a_killed_process_has_the_prefix(tmp_path):
    code = f"""if True:
        import os
        from keras_micromag.utils.files import atomic_open
        with atomic_open({str(tmp_path / "file.npz")!r}, "wb") as file:
            os._exit(9)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    [name] = names(tmp_path)
    assert name.startswith(files.PARTIAL) and name.endswith("-file.npz")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not synchronise folders")
def test_synchronised_files_are_on_the_disk_before_they_have_their_name(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: calls.append("sync") or fsync(file))
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("rename") or replace(*paths))
    with files.atomic_open(tmp_path / "file", "w", sync=True) as file:
        file.write("text")
    assert calls == ["sync", "rename", "sync"], "the file, its name, and the folder with the name"


def test_arguments_of_open_are_passed_on(tmp_path):
    with files.atomic_open(tmp_path / "file", "w", encoding="ascii", newline="\r\n") as file:
        file.write("a\n")
    assert (tmp_path / "file").read_bytes() == b"a\r\n"


def write_stale(path, age):
    """Write what a killed process would have left of `path`, last changed `age` seconds ago."""
    partial = path.with_name(f"{files.PARTIAL}12345678-{path.name}")
    partial.write_text("half")
    os.utime(partial, (time.time() - age,) * 2)
    return partial.name


@pytest.mark.parametrize("kind", [str, epath.Path])
def test_a_write_removes_leftovers_of_killed_writes(tmp_path, kind):
    path = tmp_path / "a[b].npz"
    recent = write_stale(tmp_path / "c.npz", 0)
    others = [write_stale(tmp_path / name, 4000) for name in ("ab.npz", "a[b].npy")]
    stale = write_stale(path, 4000)
    with files.atomic_open(kind(path), "w") as file:
        assert stale not in names(tmp_path), "before it writes: the disk may be full"
        file.write("text")
    assert names(tmp_path) == sorted(["a[b].npz", recent, *others])


def test_a_write_leaves_a_recent_file_of_another_writer(tmp_path):
    other = write_stale(tmp_path / "file", 1000)
    with files.atomic_open(tmp_path / "file", "w") as file:
        file.write("text")
    assert names(tmp_path) == sorted(["file", other])


def test_a_scratch_folder_is_removed_at_the_end(tmp_path):
    with files.scratch_folder(tmp_path / "states") as folder:
        (folder / "new").mkdir()
        assert folder.parent == tmp_path
        [name] = names(tmp_path)
        assert name.startswith(files.PARTIAL) and name.endswith("-states")
    assert not names(tmp_path)


def test_the_scratch_folder_of_a_killed_process_is_removed_an_hour_later(tmp_path):
    for name, ages in {"old": (4000, 4000), "used": (4000, 0)}.items():
        folder = tmp_path / f"{files.PARTIAL}{name}-states"
        part = folder / "new"
        part.mkdir(parents=True)
        (part / "state").write_text("half")
        for path, age in zip((part, folder), reversed(ages), strict=True):
            os.utime(path, (time.time() - age,) * 2)
    with files.scratch_folder(tmp_path / "states"):
        assert f"{files.PARTIAL}old-states" not in names(tmp_path)
    assert names(tmp_path) == [f"{files.PARTIAL}used-states"], "another process writes there"


# Arrays


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(5.0), "b.npy": np.array("text"), "c": np.zeros((2, 0), bool)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "file.npz", **arrays)
        for path in (str(tmp_path / "file.npz"), epath.Path(tmp_path / "file.npz")):
            read = files.read_arrays(path)
            assert read.keys() == arrays.keys()
            for name, array in arrays.items():
                np.testing.assert_array_equal(read[name], array, strict=True)


def test_a_damaged_header_that_shortens_an_array_is_refused(tmp_path):
    path = tmp_path / "file.npz"
    np.savez(path, a=np.arange(5000.0))
    path.write_bytes(path.read_bytes().replace(b"(5000,)", b"(3000,)"))
    with np.load(path) as stored:
        assert stored["a"].shape == (3000,), "NumPy alone does not compare the checksum"
    with pytest.raises(
        ValueError, match=r"file\.npz must be a \.npz file that is not damaged"
    ) as raised:
        files.read_arrays(path)
    assert "Bad CRC-32" in str(raised.value.__cause__)


def test_arrays_of_objects_are_refused(tmp_path):
    np.savez(tmp_path / "file.npz", a=np.array([{}]))
    with pytest.raises(ValueError, match=r"file\.npz must be a \.npz file that is not damaged"):
        files.read_arrays(tmp_path / "file.npz")


@pytest.mark.parametrize(
    "claimed", [b"(9999999999999,)", b"(3,            )", b"(5               "]
)
def test_a_header_that_claims_another_size_allocates_nothing(claimed, tmp_path):
    path = tmp_path / "file.npy"
    np.save(path, np.arange(5.0))
    np.testing.assert_array_equal(files.read_array(path), np.arange(5.0), strict=True)
    content = path.read_bytes()
    assert b"(5,), }         " in content
    path.write_bytes(content.replace(b"(5,), }" + b" " * (len(claimed) - 4), claimed + b", }", 1))
    with pytest.raises(ValueError, match=r"file\.npy must be a \.npy file that is not damaged"):
        files.read_array(path)


# Locks


try:
    import fcntl
except ImportError:
    fcntl = None
needs_fcntl = pytest.mark.skipif(fcntl is None, reason="Windows has no such locks")


@needs_fcntl
def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    with files.lock(tmp_path):
        with pytest.raises(BlockingIOError):
            files.lock(tmp_path)
        files.lock(tmp_path, "another").close()
    files.lock(tmp_path).close()
    assert names(tmp_path) == ["another", "lock"]


@needs_fcntl
def test_a_waiting_process_gets_the_lock_next(tmp_path):
    done = threading.Event()

    def wait():
        with files.lock(tmp_path, wait=True):
            done.set()

    with files.lock(tmp_path):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not done.wait(0.1)
    assert done.wait(60)
    thread.join()


@needs_fcntl
def test_a_lock_ends_with_its_process(tmp_path):
    code = f"""if True:
        import os
        from keras_micromag.utils.files import lock
        held = lock({str(tmp_path)!r})
        os._exit(9)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    files.lock(tmp_path).close()


@needs_fcntl
def test_a_lock_whose_file_was_removed_is_refused(tmp_path, monkeypatch):
    # As by a process that held it when this one opened the file, and has removed it since.
    monkeypatch.setattr(fcntl, "flock", lambda *_: (tmp_path / "lock").unlink())
    with pytest.raises(BlockingIOError):
        files.lock(tmp_path)


@needs_fcntl
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_file_systems_without_locks(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with files.lock(tmp_path), files.lock(tmp_path):
        assert names(tmp_path) == ["lock"]


@needs_fcntl
def test_other_errors_of_locks_are_raised(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        files.lock(tmp_path)


def test_windows_has_no_locks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with files.lock(tmp_path), files.lock(tmp_path):
        pass
    assert not names(tmp_path)
