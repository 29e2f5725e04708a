"""Seeds and weights of cells with prescribed volumes and a chosen regularity."""

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import cg

from keras_micromag.physics.microstructure.voronoi.diagram import Cells, measure_cells

_VOLUME_TOL = 1e-6
"""Relative tolerance of the volume of a cell."""

_LINEAR_TOL = 1e-6
"""Relative residual of a Newton step; the next step corrects what is left."""

_MAX_HALVINGS = 40

_NO_WEIGHTS = "`sigma` must be one that the seeds allow; no weights give the cells these volumes."


def log_normal_volumes(n: int, sigma: float, volume: float, rng: np.random.Generator) -> np.ndarray:
    """Draw (n,) volumes, which add up to `volume`, of grains with log-normal diameters.

    Raises:
        ValueError: when the volumes differ by more than floating-point numbers can.
    """
    with np.errstate(over="ignore"):
        shares = np.exp(3 * sigma * rng.standard_normal(n))
        total = shares.sum()
    if not 0 < total < np.inf:
        raise ValueError(f"`sigma` must be one that the seeds allow; {sigma} is too large.")
    return volume * shares / total


def relax_seeds(
    seeds: np.ndarray, box: np.ndarray, iterations: int, volumes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Move every seed to the centroid of its cell, repeatedly (Lloyd's algorithm).

    Args:
        seeds: (n, 3) in a box from the origin to `box` (3,).
        iterations: of S. P. Lloyd, IEEE Trans. Inf. Theory 28 (1982) 129-137. With volumes, of
            D. P. Bourne et al., Philos. Mag. 100 (2020) 2677-2707, who compute new weights in every
            iteration.
        volumes: (n,) of the cells, which together fill the box; None for cells without weights.

    Returns:
        Seeds (n, 3), and their weights (n,).
    """
    for iteration in range(iterations + 1):
        if volumes is None:
            weights = np.zeros(len(seeds))
        else:
            weights = weights_for_volumes(seeds, box, volumes)
        if iteration < iterations:
            seeds = measure_cells(seeds, weights, box).centroids
    return seeds, weights


def weights_for_volumes(seeds: np.ndarray, box: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Return weights (n,) with which the cells have the given volumes, to a millionth.

    Raises:
        ValueError: when no damped step reduces the error of the volumes, or a cell is too small.

    Notes:
        The volumes are the gradient of a concave function of the weights, and a solution exists for
        any seeds. The damped Newton method of J. Kitagawa, Q. Mérigot and B. Thibert, J. Eur. Math.
        Soc. 21 (2019) 2603-2651, finds it: its steps never let a cell vanish.
    """
    weights = np.zeros(len(seeds))
    cells = measure_cells(seeds, weights, box)
    min_volume = 0.5 * min(cells.volumes.min(), volumes.min())
    while True:
        residual = volumes - cells.volumes
        if (np.abs(residual) <= _VOLUME_TOL * volumes).all():
            return weights
        step = _newton_step(seeds, cells, residual)
        for halvings in range(_MAX_HALVINGS):
            damping = 0.5**halvings
            trial = measure_cells(seeds, weights + damping * step, box)
            trial_error = np.linalg.norm(volumes - trial.volumes)
            sufficient = trial_error <= (1 - damping / 2) * np.linalg.norm(residual)
            if trial.volumes.min() >= min_volume and sufficient:
                break
        else:
            raise ValueError(_NO_WEIGHTS)
        weights, cells = weights + damping * step, trial


def _newton_step(seeds: np.ndarray, cells: Cells, residual: np.ndarray) -> np.ndarray:
    """Return the change of the weights (n,) that would change the volumes by `residual` (n,)."""
    faces = cells.areas.tocoo()
    first, second = faces.row, faces.col
    distance = np.linalg.norm(seeds[first] - seeds[second], axis=1)
    slopes = coo_array((faces.data / (2 * distance), (first, second)), faces.shape).tocsr()
    jacobian = diags_array(slopes.sum(axis=1)) - slopes
    # A constant added to all weights changes nothing. With the first weight fixed, the remaining
    # system is positive definite.
    step = np.zeros(len(seeds))
    reduced = csr_array(jacobian)[1:, 1:]
    diagonal = reduced.diagonal()
    if not diagonal.all():  # a cell too small for its faces to be numbers
        raise ValueError(_NO_WEIGHTS)
    preconditioner = diags_array(1 / diagonal)
    step[1:], _ = cg(reduced, residual[1:], rtol=_LINEAR_TOL, M=preconditioner)
    return step
