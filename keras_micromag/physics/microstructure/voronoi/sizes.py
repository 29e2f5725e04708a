"""Seeds and weights of cells that have the volumes and the regularity that are asked for."""

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import cg

from keras_micromag.physics.microstructure.voronoi.diagram import measure

_CLOSE = 1e-6
"""How far a cell's volume may be off, in units of the volume wanted."""

_EXACT = 1e-6
"""Of a Newton step: the next one mends the rest."""

_HALVINGS = 40


def log_normal_volumes(n: int, sigma: float, volume: float, rng) -> np.ndarray:
    """(n,) volumes that add up to `volume`, of grains with log-normal diameters."""
    shares = np.exp(3 * sigma * rng.standard_normal(n))
    return volume * shares / shares.sum()


def relaxed(seeds, box, rounds: int, volumes=None):
    """Seeds, each of which has moved to its cell's centroid that many times, and their weights.

    Args:
        seeds: (n, 3) in a box from the origin to `box` (3,).
        rounds: of S. P. Lloyd, IEEE Trans. Inf. Theory 28 (1982) 129-137. With volumes, of
            D. P. Bourne et al., Philos. Mag. 100 (2020) 2677-2707, where every round has weights
            of its own.
        volumes: (n,) of the cells, which together fill the box; None for cells without weights.

    Returns:
        (n, 3) and (n,).
    """
    for done in range(rounds + 1):
        weights = np.zeros(len(seeds)) if volumes is None else weights_for(seeds, box, volumes)
        if done < rounds:
            seeds = measure(seeds, weights, box).centroids
    return seeds, weights


def weights_for(seeds, box, volumes):
    """(n,) weights with which the cells have the `volumes` wanted, to a millionth.

    Notes:
        The volumes are the gradient of a concave function of the weights, and there is a solution
        for any seeds, found by the damped Newton steps of J. Kitagawa, Q. Mérigot and B. Thibert,
        J. Eur. Math. Soc. 21 (2019) 2603-2651, which never let a cell vanish.
    """
    weights = np.zeros(len(seeds))
    cells = measure(seeds, weights, box)
    least = 0.5 * min(cells.volumes.min(), volumes.min())
    while True:
        missing = volumes - cells.volumes
        if (np.abs(missing) <= _CLOSE * volumes).all():
            return weights
        step = _newton_step(seeds, cells, missing)
        for halving in range(_HALVINGS):
            share = 0.5**halving
            tried = measure(seeds, weights + share * step, box)
            left = np.linalg.norm(volumes - tried.volumes)
            if tried.volumes.min() >= least and left <= (1 - share / 2) * np.linalg.norm(missing):
                break
        else:
            raise ValueError(
                "`sigma` must be one that the seeds allow; found no weights for these sizes."
            )
        weights, cells = weights + share * step, tried


def _newton_step(seeds, cells, missing):
    faces = cells.areas.tocoo()
    first, second = faces.coords
    distance = np.linalg.norm(seeds[first] - seeds[second], axis=1)
    slopes = coo_array((faces.data / (2 * distance), faces.coords), faces.shape).tocsr()
    stiffness = diags_array(slopes.sum(axis=1)) - slopes
    # Weights count up to a constant: the first stays, and what is left is positive definite.
    step = np.zeros(len(seeds))
    rest = csr_array(stiffness)[1:, 1:]
    scaling = diags_array(1 / rest.diagonal())
    step[1:], _ = cg(rest, missing[1:], rtol=_EXACT, M=scaling)
    return step
