"""Loops of magnets whose grains lie on a lattice, as training data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_micromag.data.samples import symmetric_images
from keras_micromag.utils import checks


@dataclass(frozen=True, eq=False)
class Lattices:
    """Loops of magnets of equal grains on a lattice in a field along z, as inputs of a model.

    `Polycrystals` has the same methods, for grains that differ.

    Attributes:
        moments: (s, t, g, 3) unit moments, kept as float32; `simulate` returns them so.
        grid: (x, y, z), the numbers of grains along the axes; z is the fastest axis of g.

    Raises:
        ValueError: when a shape does not fit.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.data import Lattices
        >>> Lattices(np.zeros((9, 1000, 64, 3)), (4, 4, 4))[:2].moments.shape
        (2, 1000, 64, 3)
    """

    moments: np.ndarray
    grid: Sequence[int]

    def __post_init__(self):
        grid = checks.counts(self.grid, "grid")
        moments = checks.numbers(self.moments, "moments", np.float32)
        g = int(np.prod(grid))
        if len(grid) != 3 or moments.ndim != 4 or moments.shape[2:] != (g, 3):
            raise ValueError(
                f"`moments` must have shape (s, t, g, 3) with g = x·y·z of `grid` = {grid}; "
                f"received {moments.shape}."
            )
        object.__setattr__(self, "moments", moments)
        object.__setattr__(self, "grid", grid)

    def __len__(self) -> int:
        return len(self.moments)

    def __getitem__(self, magnets: slice | np.ndarray) -> "Lattices":
        """Return some of the magnets, by a slice or indices."""
        return Lattices(self.moments[magnets], self.grid)

    @property
    def on_grid(self) -> np.ndarray:
        """Moments (s, t, x, y, z, 3)."""
        return self.moments.reshape(*self.moments.shape[:2], *self.grid, 3)

    @property
    def magnet(self) -> dict[str, np.ndarray]:
        """Inputs of a model besides states and fields: none."""
        return {}

    @property
    def inputs(self) -> np.ndarray:
        """Inputs of an `Autoencoder`."""
        return self.moments

    @property
    def targets(self) -> np.ndarray:
        """Targets for `NormPreservingLoss`."""
        return self.moments

    def states(self, magnets: np.ndarray, steps: np.ndarray) -> "Lattices":
        """Return the states at steps (m, n) of magnets (m,), as m loops of n steps."""
        return Lattices(self.moments[magnets[:, None], steps], self.grid)

    def images(self, count: int, rng: np.random.Generator | None = None) -> "Lattices":
        """Return the magnets with their `symmetric_images`, at most `count` of each."""
        images = symmetric_images(self.on_grid, count)
        # Not by -1, which NumPy cannot resolve for loops of no steps.
        magnets = images.shape[0] * images.shape[1]
        return Lattices(images.reshape(magnets, *self.moments.shape[1:]), self.grid)
