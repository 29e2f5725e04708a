"""Parts of all command lines; their errors are tested in tests/test_cli.py."""

import os

import pytest

from keras_micromag.utils import command_line


def test_messages_of_a_loading_backend_are_shown_only_if_it_fails(capfd):
    with command_line._stderr_held_back():
        os.write(2, b"no GPU was found\n")
    assert not capfd.readouterr().err
    with pytest.raises(ImportError), command_line._stderr_held_back():
        os.write(2, b"libcuda is missing\n")
        raise ImportError
    os.write(2, b"and goes on\n")
    assert capfd.readouterr().err == "libcuda is missing\nand goes on\n"


@pytest.mark.parametrize("name", ["ResourceExhaustedError", "OutOfRangeError"])
def test_a_file_that_tensorflow_cannot_write_is_a_sentence(name, capsys):
    tf = pytest.importorskip("tensorflow")

    def write(options):
        raise getattr(tf.errors, name)(None, None, "data.tfrecord; No space left on device")

    parser = command_line.Parser(prog="program")
    parser.set_defaults(run=write)
    assert command_line.run(parser, []) == 2
    expected = "program: error: data.tfrecord; No space left on device.\n"
    assert capsys.readouterr().err == expected


def test_other_errors_of_tensorflow_are_raised():
    tf = pytest.importorskip("tensorflow")

    def fail(options):
        raise tf.errors.InvalidArgumentError(None, None, "shapes")

    parser = command_line.Parser(prog="program")
    parser.set_defaults(run=fail)
    with pytest.raises(tf.errors.InvalidArgumentError):
        command_line.run(parser, [])
