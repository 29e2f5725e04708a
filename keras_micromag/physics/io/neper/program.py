"""Run Neper."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from keras_micromag.physics.io.neper.reading import read_neper
from keras_micromag.physics.io.neper.tessellation import Tessellation
from keras_micromag.utils import checks


def neper_grains(
    n: int,
    *,
    seed: int = 1,
    box: Sequence[float] = (1.0, 1.0, 1.0),
    arguments: Sequence[str] = (),
    unit: float = 1e-6,
) -> Tessellation:
    """Generate grains with the program `neper`, which must be installed.

    The command is `neper -T -n N -id SEED …`.

    Args:
        n: number of grains.
        seed: Neper's `-id`, which selects the random numbers.
        box: edges of the domain along x, y and z in units of `unit`, from the origin.
        arguments: further arguments of Neper's module -T, such as `("-morpho", "gg", "-reg", "1")`.
            They must not repeat `-domain` or `-n`.
        unit: metres per unit of length.

    Raises:
        FileNotFoundError: when there is no `neper` on the PATH.
        RuntimeError: when Neper fails. The message quotes its last lines.

    Notes:
        The call follows the documentation of Neper. The tests use a substitute for the program.

    Example:
        >>> neper_grains(0)
        Traceback (most recent call last):
        ValueError: `n` must be an integer of at least 1; received 0.
    """
    n = checks.count(n, "n")
    seed = checks.count(seed, "seed")
    edges = checks.finite_array(box, "box", (3,))
    for edge in edges:
        checks.number(edge, "box", above=0)
    program = shutil.which("neper")
    if program is None:
        raise FileNotFoundError(
            "the program `neper` is not on the PATH: it is free at https://neper.info, and "
            "`voronoi_grains` needs no program."
        )
    domain = f"cube({','.join(repr(edge) for edge in edges.tolist())})"
    with TemporaryDirectory(prefix="neper-") as folder:
        command = [program, "-T", "-n", str(n), "-id", str(seed), "-domain", domain]
        command += [*arguments, "-o", "grains", "-format", "tess"]
        completed = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        path = Path(folder, "grains.tess")
        if completed.returncode or not path.exists():
            lines = completed.stdout.strip().splitlines()[-5:]
            message = " / ".join(line.strip() for line in lines)
            raise RuntimeError(f"neper failed (exit status {completed.returncode}): {message}")
        return read_neper(path, unit=unit)
