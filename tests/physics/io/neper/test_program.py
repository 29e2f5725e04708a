"""`neper_grains` against a stand-in for Neper, which is not installed where the tests run.

The stand-in notes its arguments and copies a tessellation that `write_neper` has written.
"""

import os
import sys

import numpy as np
import pytest

from keras_micromag.physics import cubic_grains
from keras_micromag.physics.io.neper import neper_grains, write_neper

STAND_IN = """\
#!{python}
import pathlib, shutil, sys
here = pathlib.Path(__file__).parent
(here / "arguments").write_text("\\n".join(sys.argv[1:]))
print("Info   : MODULE -T loaded with arguments:")
{action}
"""

COPY = 'shutil.copy(here / "given.tess", sys.argv[sys.argv.index("-o") + 1] + ".tess")'


@pytest.fixture
def install(tmp_path, monkeypatch):
    def install(action):
        program = tmp_path / "neper"
        program.write_text(STAND_IN.format(python=sys.executable, action=action))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        write_neper(tmp_path / "given.tess", cubic_grains((2, 1, 1), gap=0.0))
        return tmp_path / "arguments"

    return install


def test_arguments_of_the_command_neper(install, tmp_path):
    arguments = install(COPY)
    grains = neper_grains(2, seed=7, box=(2, 1, 0.5), arguments=("-morpho", "gg"), unit=2e-6)
    assert arguments.read_text().split("\n") == [
        *("-T", "-n", "2", "-id", "7", "-domain", "cube(2.0,1.0,0.5)", "-morpho", "gg"),
        *("-o", "grains", "-format", "tess"),
    ]
    np.testing.assert_allclose(grains.volumes, (100e-9) ** 3, rtol=1e-12)


def test_neper_fails(install):
    install('print("Error  : Failed to parse argument."); sys.exit(3)')
    message = r"^neper failed \(exit status 3\): Info .* / Error  : Failed to parse argument\.$"
    with pytest.raises(RuntimeError, match=message):
        neper_grains(2)


def test_neper_writes_nothing(install):
    install("")
    with pytest.raises(RuntimeError, match=r"^neper failed \(exit status 0\): Info"):
        neper_grains(2)


def test_neper_writes_nonsense(install):
    install('open("grains.tess", "w").write("***tess")')
    with pytest.raises(ValueError, match=r"grains\.tess must end the file with \*\*\*end"):
        neper_grains(2)


def test_no_neper(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"`neper` is not on the PATH: .* https://neper\.info, and `voronoi_grains` needs no"
    with pytest.raises(FileNotFoundError, match=message):
        neper_grains(2)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n": 0}, "`n` must be an integer of at least 1"),
        ({"n": 2, "seed": 0}, "`seed` must be an integer of at least 1"),
        ({"n": 2, "box": (1, 1)}, r"`box` must have shape \(3,\)"),
        ({"n": 2, "box": (1, 1, 0)}, "`box` must be greater than 0"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        neper_grains(**kwargs)
