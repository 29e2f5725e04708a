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
    """Grains by the program `neper`, which must be installed: `neper -T -n N -id SEED …`.

    Args:
        n: number of grains.
        seed: Neper's `-id`, which chooses the random numbers.
        box: the domain's edges along x, y and z in units of `unit`, from the origin.
        arguments: further ones of Neper's module -T, such as `("-morpho", "gg", "-reg", "1")`; a
            `-domain` or `-n` among them would contradict the above.
        unit: metres per unit of length.

    Raises:
        FileNotFoundError: when there is no `neper` on the PATH.
        RuntimeError: with Neper's last lines, when it fails.

    Notes:
        Written after Neper's documentation; tested here with a stand-in, not with Neper itself.

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
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        path = Path(folder, "grains.tess")
        if done.returncode or not path.exists():
            last = " / ".join(line.strip() for line in done.stdout.strip().splitlines()[-5:])
            raise RuntimeError(f"neper failed (exit status {done.returncode}): {last}")
        return read_neper(path, unit=unit)
