"""The contents of a tessellation file of Neper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.material import Material
from keras_micromag.physics.microstructure.particles import Depth
from keras_micromag.physics.microstructure.structure import SCHEME, Microstructure
from keras_micromag.utils import checks


@dataclass(frozen=True, eq=False)
class Tessellation:
    """The cells of a tessellation and their crystal orientations, as `read_neper` returns them.

    Attributes:
        cells: g polyhedra in metres.
        ids: (g,) numbers of the cells in the file, 1 to g unless the file names others.
        seeds: (g, 3) in metres, or None.
        weights: (g,) of the seeds in metres, or None. Neper's weights w are radii: a cell holds the
            points where d² − w² is least, with d the distance from its seed.
        orientations: (g, 3, 3) rotation matrices, or None. `orientations[g] @ c` is the direction
            in the sample that has the components c in the axes of crystal g.
        crystal_symmetry: Neper's name of the symmetry, such as "hexagonal", or None.
        periodic: whether the tessellation is periodic. Its cells are then not cut at the box: they
            extend beyond it, and fill space when the box is repeated.
        unit: metres per unit of length of the file.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from keras_micromag.physics import cubic_grains
        >>> from keras_micromag.physics.io.neper import read_neper, write_neper
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "cubes.tess")
        ...     write_neper(path, cubic_grains((2, 2, 2), gap=0.0), easy_axes=[[0, 0, 1]] * 8)
        ...     cubes = read_neper(path)
        >>> cubes.ids, cubes.easy_axes[0]
        (array([1, 2, 3, 4, 5, 6, 7, 8]), array([0., 0., 1.]))
        >>> round(cubes.microstructure(gap=3e-9).packing_fraction, 3)
        0.831
    """

    cells: tuple[Polyhedron, ...]
    ids: np.ndarray
    seeds: np.ndarray | None
    weights: np.ndarray | None
    orientations: np.ndarray | None
    crystal_symmetry: str | None
    periodic: bool
    unit: float

    def __len__(self):
        return len(self.cells)

    @property
    def easy_axes(self) -> np.ndarray:
        """The c axes of the crystals in the sample, unit vectors (g, 3).

        Raises:
            ValueError: when the tessellation has no orientations.
        """
        if self.orientations is None:
            raise ValueError(
                "a tessellation must have orientations to have easy axes; this has none."
            )
        return self.orientations[:, :, 2]

    @property
    def volumes(self) -> np.ndarray:
        """Volumes (g,) of the cells in m³."""
        return np.array([cell.volume for cell in self.cells])

    def microstructure(
        self,
        *,
        gap: float = 0.0,
        depth: Depth = "calibrated",
        scheme: Sequence[str] = SCHEME,
        material: Material | Sequence[Material] | None = None,
    ) -> Microstructure:
        """Return the magnet whose grains are the cells, separated by a non-magnetic gap.

        Args:
            gap: distance between the faces of neighbours in metres. The faces of each cell move
                inwards by half of it. For a gap above 0 the cells must be convex.
            depth, scheme, material: see `Microstructure`.

        Returns:
            The grains in the order of the cells. The volume of the magnet is that of all cells, so
            that its packing fraction includes the gaps.

        Raises:
            ValueError: when a gap leaves nothing of a cell, whose id the message names; and as
                `Microstructure` does, whose grain k is `cells[k]`.
        """
        gap = checks.number(gap, "gap", least=0)
        return Microstructure(
            [self._inset(k, gap) for k in range(len(self))] if gap else self.cells,
            depth=depth,
            scheme=scheme,
            material=material,
            volume=float(self.volumes.sum()),
        )

    def _inset(self, k, gap):
        """Return cell k with every face moved inwards by half the gap."""
        try:
            return self.cells[k].inset(gap / 2)
        except ValueError as error:
            raise ValueError(
                f"cell {self.ids[k]} is too small for a gap of {gap:g} m: {error}"
            ) from error
