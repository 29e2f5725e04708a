"""Atomic writes and locks."""

import errno
import os
import subprocess
import sys
import threading

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


def test_a_failure_before_the_file_is_made_is_told_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic_open(tmp_path / "none" / "file", "w"):
        pass


def test_a_failed_rename_leaves_no_temporary_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError), files.atomic_open(tmp_path / "folder", "w") as file:
        file.write("text")
    assert names(tmp_path) == ["folder"]


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with files.atomic_open(path, "w") as first:
        with files.atomic_open(path, "w") as second:
            first.write("first")
            second.write("second")
        assert path.read_text() == "second"
    assert names(tmp_path) == ["file"] and path.read_text() == "first"


def test_what_a_killed_process_leaves_has_the_prefix(tmp_path):
    code = f"""if True:
        import os
        from keras_micromag.utils.files import atomic_open
        with atomic_open({str(tmp_path / "file.npz")!r}, "wb") as file:
            os._exit(9)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    [name] = names(tmp_path)
    assert name.startswith(files.PARTIAL) and name.endswith("-file.npz")


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


# Locks


fcntl = pytest.importorskip("fcntl")


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    with files.lock(tmp_path):
        with pytest.raises(BlockingIOError):
            files.lock(tmp_path)
        files.lock(tmp_path, "another").close()
    files.lock(tmp_path).close()
    assert names(tmp_path) == ["another", "lock"]


def test_who_waits_gets_the_lock_next(tmp_path):
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


def test_a_lock_ends_with_its_process(tmp_path):
    code = f"""if True:
        import os
        from keras_micromag.utils.files import lock
        held = lock({str(tmp_path)!r})
        os._exit(9)
    """
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    files.lock(tmp_path).close()


def test_a_lock_whose_file_was_removed_is_none(tmp_path, monkeypatch):
    # As by a process that held it when this one opened the file, and has removed it since.
    monkeypatch.setattr(fcntl, "flock", lambda *_: (tmp_path / "lock").unlink())
    with pytest.raises(BlockingIOError):
        files.lock(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_file_systems_without_locks(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with files.lock(tmp_path), files.lock(tmp_path):
        assert names(tmp_path) == ["lock"]


def test_other_failures_of_locks_are_told(tmp_path, monkeypatch):
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
