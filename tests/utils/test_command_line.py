"""Parts of all command lines; their errors are tested in tests/test_cli.py."""

import os

import pytest

from keras_micromag.utils import command_line


def test_what_a_backend_writes_while_it_loads_is_shown_only_if_that_fails(capfd):
    with command_line._stderr_held_back():
        os.write(2, b"no GPU was found\n")
    assert not capfd.readouterr().err
    with pytest.raises(ImportError), command_line._stderr_held_back():
        os.write(2, b"libcuda is missing\n")
        raise ImportError
    os.write(2, b"and goes on\n")
    assert capfd.readouterr().err == "libcuda is missing\nand goes on\n"
