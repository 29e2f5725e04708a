"""Computes demagnetisation curves by micromagnetics: finite differences on cubic cells.

The energy has exchange, uniaxial anisotropy, the magnetostatic field and the applied field. Its
local minimum is followed while the field falls, so each grain reverses where its minimum ends.

All fields are flux densities in tesla, and all lengths are in metres. The arrays have the precision
of JAX's mode, and float32 suffices: an effective field of 10 T is wrong by about 1e-6 T, where an
equilibrium is accepted at a torque of 1e-4 T. The kernel is always computed in float64.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import next_fast_len

from keras_micromag.physics.microstructure.material import Material

# Along which of the axes x, y and z each component xx, xy, xz, yy, yz, zz of a tensor is odd.
ODD = np.array([(0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 0, 0), (0, 1, 1), (0, 0, 0)], dtype=bool)
# From so many cells on, two cubes act on each other as dipoles: the first correction falls with the
# fourth power of the distance, 1e-6 here, and Newell's differences lose to rounding beyond.
FAR = 24
# The torque on a moment at which an equilibrium is accepted, as a part of the anisotropy field.
TORQUE = 2e-5
# The angle in radians by which the fastest moment turns in one iteration at most. A larger step can
# carry a state that is close to its end over the barrier.
ROTATION = 0.2
# The longest step of the applied field, as a part of the anisotropy field.
STEP = 0.2
ITERATIONS = 50_000
# How often the walls of a state are swept out of their grains at most.
SWEEPS = 10


class NotConvergedError(RuntimeError):
    """The energy has no minimum within the limit of iterations."""


class Magnet(NamedTuple):
    """A magnet on cubic cells, as arrays for `jax.jit`; `make_magnet` computes it.

    Args:
        grain: the grain of each cell, (x, y, z), from 1 on; 0 is empty.
        axis: unit vectors of the easy axis of each cell, (3, x, y, z); 0 where a cell is empty.
        anisotropy_field: 2 Ku / Ms.
        direction: unit vector along which the field is applied, (3,).
        kernel: Fourier transforms of the six components of the demagnetising tensor, times −Js.
        links: for each set of three, the exchange field between the cells i and i + s along the
            axes x, y and z. The shift s is the length of the axis less that of the array.
    """

    grain: jax.Array
    axis: jax.Array
    anisotropy_field: jax.Array
    direction: jax.Array
    kernel: jax.Array
    links: tuple[jax.Array, ...]


class Relaxation(NamedTuple):
    """A state of the minimisation: moments, gradient in T, next step in 1/T, iterations so far."""

    m: jax.Array
    gradient: jax.Array
    step: jax.Array
    iterations: jax.Array


class Curve(NamedTuple):
    """A demagnetisation curve.

    Args:
        field: the applied fields of the equilibria, falling, (t,).
        moment: the mean moment of each grain along the field, as a part of Js, (t, g).
        switching: the middle of the bracket in which each grain reverses, (g,).
        bracket: the width of that bracket, (g,).
        cells: the number of cells of each grain, (g,).
        iterations: those of all minimisations, each of which evaluates the gradient once.
    """

    field: np.ndarray
    moment: np.ndarray
    switching: np.ndarray
    bracket: np.ndarray
    cells: np.ndarray
    iterations: int

    def coercivity(self) -> float:
        """Return the coercivity: minus the field at which the magnet's moment vanishes."""
        total = self.moment @ self.cells
        after = int(np.argmax(total < 0))
        pair = slice(after - 1, after + 1)
        return -float(np.interp(0.0, total[pair][::-1], self.field[pair][::-1]))


def newell(shape: ArrayLike) -> np.ndarray:
    """Return the mean demagnetising tensor between two cubic cells for offsets of one octant.

    It is a triple second difference of two functions of the offset: Newell, Williams and Dunlop,
    J. Geophys. Res. 98 (1993) 9551.

    Args:
        shape: the number of offsets along each axis, from 0 on, in cells.

    Returns:
        The components xx, xy, xz, yy, yz, zz, of shape (6, x, y, z), so that the field is −N·M.
    """
    x, y, z = np.meshgrid(*(np.arange(-1.0, n + 1) for n in shape), indexing="ij")
    near = np.stack(
        [
            *(_diagonal(x, y, z), _offdiagonal(x, y, z), _offdiagonal(x, z, y)),
            *(_diagonal(y, x, z), _offdiagonal(y, z, x), _diagonal(z, x, y)),
        ]
    )
    for axis in (1, 2, 3):
        near = np.diff(near, n=2, axis=axis)
    r = np.stack([x, y, z])[:, 1:-1, 1:-1, 1:-1]
    distance = np.maximum(np.sqrt((r**2).sum(axis=0)), 1.0)
    i, j = np.triu_indices(3)
    dipole = np.eye(3)[i, j, None, None, None] - 3 * r[i] * r[j] / distance**2
    return np.where(distance > FAR, dipole / distance**3, -near) / (4 * np.pi)


def _diagonal(x, y, z):
    """Return Newell's f (even in all arguments), whose differences are the component xx."""
    x, y, z = np.abs(x), np.abs(y), np.abs(z)
    r = np.sqrt(x**2 + y**2 + z**2)
    return (
        y / 2 * (z**2 - x**2) * _arcsinh(y, x, z)
        + z / 2 * (y**2 - x**2) * _arcsinh(z, x, y)
        - x * y * z * np.arctan2(y * z, x * r)
        + (2 * x**2 - y**2 - z**2) * r / 6
    )


def _offdiagonal(x, y, z):
    """Return Newell's g (odd in x and y, even in z), whose differences are the component xy."""
    sign = np.sign(x) * np.sign(y)
    x, y, z = np.abs(x), np.abs(y), np.abs(z)
    r = np.sqrt(x**2 + y**2 + z**2)
    return sign * (
        x * y * z * _arcsinh(z, x, y)
        + y / 6 * (3 * z**2 - y**2) * _arcsinh(x, y, z)
        + x / 6 * (3 * z**2 - x**2) * _arcsinh(y, x, z)
        - z**3 / 6 * np.arctan2(x * y, z * r)
        - z * y**2 / 2 * np.arctan2(x * z, y * r)
        - z * x**2 / 2 * np.arctan2(y * z, x * r)
        - x * y * r / 3
    )


def _arcsinh(a, b, c):
    """Return arcsinh(a / √(b² + c²)), and a finite number on the line b = c = 0."""
    leg = np.hypot(b, c)
    return np.arcsinh(a / np.where(leg > 0, leg, 1.0))


def padded_length(cells: int) -> int:
    """Return the length of an axis on which the field of one end does not reach the other."""
    return next_fast_len(2 * cells - 1, real=True)


def _transformed(tensor):
    """Return the Fourier transforms of the components on the zero-padded grid; they are real."""
    for axis, cells in enumerate(tensor.shape[1:]):
        length = padded_length(cells)
        offset = (np.arange(length) + length // 2) % length - length // 2
        factor = np.where(ODD[:, axis, None], np.sign(offset), 1) * (np.abs(offset) < cells)
        tensor = np.take(tensor, np.minimum(np.abs(offset), cells - 1), axis=1 + axis)
        tensor = tensor * np.expand_dims(factor, [1 + other for other in range(3) if other != axis])
    return np.fft.rfftn(tensor, axes=(1, 2, 3)).real


def make_magnet(
    grain: ArrayLike,
    easy_axes: ArrayLike,
    material: Material,
    cell: float,
    *,
    areal_exchange: float = 0.0,
    gap: int = 0,
    areas: ArrayLike | None = None,
    direction: ArrayLike = (0.0, 0.0, 1.0),
) -> Magnet:
    """Return the magnet for the solver.

    Args:
        grain: the grain of each cell, (x, y, z), from 1 on; 0 is empty.
        easy_axes: unit vectors of the easy axes, (g, 3); the end nearer to the field is taken.
        material: the constants of all grains; `Kd` is not used, since the shape is in the cells.
        cell: the edge of a cell.
        areal_exchange: J in J/m², by which cells of different grains couple that face each other.
        gap: the number of empty cells between such cells at most.
        areas: of the contacts of grains in m², (g, g), by which the coupling of each pair is
            scaled: oblique faces are steps, with more area. By default it is not.
        direction: of the applied field, (3,).
    """
    grain = np.asarray(grain)
    direction = np.asarray(direction) / np.linalg.norm(direction)
    easy_axes = np.asarray(easy_axes, dtype="float64")
    easy_axes = easy_axes * np.where(easy_axes @ direction < 0, -1.0, 1.0)[:, None]
    easy_axes = easy_axes / np.linalg.norm(easy_axes, axis=1, keepdims=True)
    axis = np.concatenate([np.zeros((1, 3)), easy_axes])[grain].transpose(3, 0, 1, 2)
    links = [2 * material.A / (material.Ms * cell**2) * pair for pair in _pairs(grain, 1, True)]
    if areal_exchange:
        across = [pair for shift in range(1, gap + 2) for pair in _pairs(grain, shift, False)]
        if areas is not None:
            across = _scaled(across, grain, np.asarray(areas) / cell**2)
        # No sets of links for distances that the gaps nowhere have.
        across = [across[k : k + 3] for k in range(0, len(across), 3)]
        across = [pair for pairs in across if any(map(np.any, pairs)) for pair in pairs]
        links += [areal_exchange / (material.Ms * cell) * pair for pair in across]
    kernel = -material.Js * _transformed(newell(grain.shape))
    return Magnet(
        grain=jnp.asarray(grain, "int32"),
        axis=jnp.asarray(axis, float),
        anisotropy_field=jnp.asarray(2 * material.Ku / material.Ms, float),
        direction=jnp.asarray(direction, float),
        kernel=jnp.asarray(kernel, float),
        links=tuple(jnp.asarray(link, float) for link in links),
    )


def _pairs(grain, shift, same):
    """Yield for each axis which cells i and i + shift lie in one grain, or face each other."""
    for axis in range(3):
        cells = np.moveaxis(grain, axis, 0)
        first, second = cells[:-shift], cells[shift:]
        pair = (first > 0) & (second > 0) & ((first == second) == same)
        for k in range(1, shift):
            pair &= cells[k : k - shift] == 0
        yield np.moveaxis(pair, 0, axis)


def _scaled(links, grain, areas):
    """Return the links, the sum over those of each pair of grains being its area in cells."""

    def ends(number, link):
        cells = np.moveaxis(grain, number % 3, 0)
        pairs = link.shape[number % 3]
        ends = np.stack([cells[:pairs], cells[len(cells) - pairs :]])
        return np.moveaxis(np.sort(ends, axis=0) - 1, 1, 1 + number % 3)

    count = np.zeros(areas.shape)
    for number, link in enumerate(links):
        np.add.at(count, tuple(ends(number, link)[:, link]), 1)
    factor = areas / np.maximum(count, 1)
    return [
        np.where(link, factor[tuple(np.where(link, ends(number, link), 0))], 0.0)
        for number, link in enumerate(links)
    ]


def demagnetising_field(magnet: Magnet, m: jax.Array) -> jax.Array:
    """Return the magnetostatic field of the moments m, (3, x, y, z)."""
    cells = m.shape[1:]
    padded = [padded_length(n) for n in cells]
    # One axis after the other: rows that hold padding alone are never transformed.
    spectrum = jnp.fft.rfft(m, padded[2], axis=3)
    spectrum = jnp.fft.fft(spectrum, padded[1], axis=2)
    x, y, z = jnp.fft.fft(spectrum, padded[0], axis=1)
    xx, xy, xz, yy, yz, zz = magnet.kernel
    field = [xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z]
    field = jnp.fft.ifft(jnp.stack(field), axis=1)[:, : cells[0]]
    field = jnp.fft.ifft(field, axis=2)[:, :, : cells[1]]
    return jnp.fft.irfft(field, padded[2], axis=3)[..., : cells[2]]


def internal_field(magnet: Magnet, m: jax.Array) -> jax.Array:
    """Return the effective field of all but the applied field, which is linear in m.

    Exchange is a difference of neighbours, so it is 0 and exact where all moments are equal.
    """
    field = demagnetising_field(magnet, m)
    field += magnet.anisotropy_field * (m * magnet.axis).sum(axis=0) * magnet.axis
    for number, link in enumerate(magnet.links):
        axis = 1 + number % 3
        pairs, cells = link.shape[axis - 1], m.shape[axis]
        first = jax.lax.slice_in_dim(m, 0, pairs, axis=axis)
        second = jax.lax.slice_in_dim(m, cells - pairs, cells, axis=axis)
        exchange = link * (second - first)
        at_first, at_second = [[(0, 0)] * 4 for _ in range(2)]
        at_first[axis], at_second[axis] = (0, cells - pairs), (cells - pairs, 0)
        field += jnp.pad(exchange, at_first) - jnp.pad(exchange, at_second)
    return jnp.where(magnet.grain > 0, field, 0.0)


def grain_sums(magnet: Magnet, values: jax.Array, grains: int) -> jax.Array:
    """Return the sums of a value per cell over each grain, (g,)."""
    return jax.ops.segment_sum(values.ravel(), magnet.grain.ravel(), grains + 1)[1:]


@partial(jax.jit, static_argnames="grains")
def relax(
    magnet: Magnet, m: ArrayLike, field: ArrayLike, grains: int, branch: ArrayLike
) -> Relaxation:
    """Follow the gradient of the energy from m to a minimum.

    The moments turn by a Cayley transform, so their lengths stay 1, with the steps of Barzilai and
    Borwein: Exl et al., J. Appl. Phys. 115 (2014) 17D118. There is no line search, in place of
    which no moment turns by more than `ROTATION`.

    Args:
        magnet: the magnet.
        m: unit moments to start from, (3, x, y, z); 0 where a cell is empty.
        field: the applied field.
        grains: the number of grains.
        branch: 1 for a grain that has not reversed, −1 for one that has, (g,). The minimisation
            ends as soon as any other grain reverses. With zeros it runs on.
    """

    def gradient(m):
        total = internal_field(magnet, m) + field * magnet.direction[:, None, None, None]
        return m * (m * total).sum(axis=0) - total * (magnet.grain > 0)

    def largest(vectors):
        return jnp.sqrt((vectors**2).sum(axis=0).max())

    def unfinished(state):
        along = grain_sums(magnet, (state.m * magnet.axis).sum(axis=0), grains)
        unstable = largest(state.gradient) > tol
        return unstable & (state.iterations < ITERATIONS) & (along * branch >= 0).all()

    def iterate(state):
        step = jnp.minimum(state.step, ROTATION / largest(state.gradient))
        square = step**2 * (state.gradient**2).sum(axis=0)
        m = ((4 - square) * state.m - 4 * step * state.gradient) / (4 + square)
        m = m / jnp.where(magnet.grain > 0, jnp.sqrt((m**2).sum(axis=0)), 1.0)
        slope = gradient(m)
        s, y = m - state.m, slope - state.gradient
        ss, sy, yy = (s * s).sum(), (s * y).sum(), (y * y).sum()
        step = jnp.where(state.iterations % 2 == 0, ss / sy, sy / yy)
        # Along a direction in which the energy curves downwards, the longest step is taken.
        step = jnp.where(sy > 0, step, jnp.inf)
        return Relaxation(m, slope, step, state.iterations + 1)

    m = jnp.asarray(m, float)
    stiffness = magnet.anisotropy_field
    stiffness += 4 * sum(link.max(initial=0.0) for link in magnet.links[:3])
    # Where exchange is far stronger than anisotropy, rounding leaves a larger torque.
    tol = jnp.maximum(TORQUE * magnet.anisotropy_field, jnp.finfo(m.dtype).eps * stiffness)
    start = Relaxation(m, gradient(m), 1 / stiffness, jnp.asarray(0))
    return jax.lax.while_loop(unfinished, iterate, start)


def demagnetise(magnet: Magnet, tol: float, *, verbose: bool = False) -> Curve:
    """Return the demagnetisation curve from saturation along the easy axes until all have reversed.

    A field that reverses a grain is approached by halved steps, each from the last equilibrium
    before it. A reversal counts only where a step of at most `tol` causes it, so none is due to a
    large step.

    Args:
        magnet: the magnet.
        tol: the width in tesla of the brackets of the switching fields.
        verbose: whether to print each field.

    Raises:
        NotConvergedError: where the energy has no minimum within `ITERATIONS`.

    Notes:
        Cells larger than δ = √(A/Ku) may hold a domain wall that has come from a nucleus, at fields
        far above any that would hold it in a homogeneous grain. The rest of a grain that is
        reversed in part is then turned, and the minimisation goes on.
    """
    grains = int(magnet.grain.max())
    grain = np.asarray(magnet.grain)
    cells = np.bincount(grain.ravel())[1:]
    sums = jax.jit(grain_sums, static_argnums=2)
    iterations = 0

    def equilibrium(m, field, branch):
        nonlocal iterations
        state = relax(magnet, m, field, grains, branch)
        iterations += int(state.iterations)
        along = np.asarray(sums(magnet, (state.m * magnet.axis).sum(axis=0), grains))
        if int(state.iterations) == ITERATIONS:
            raise NotConvergedError(
                f"The energy has no minimum within {ITERATIONS} iterations at {field:g} T."
            )
        if verbose:
            print(f"{field:9.4f} T {int(state.iterations):6d} {np.sign(along)}", flush=True)
        return state.m, np.where(along < 0, -1.0, 1.0)

    def reversed_in_part(m, after):
        # A grain of which some has reversed, though its mean may not have.
        opposed = np.asarray((m * magnet.axis).sum(axis=0)) * after[grain - 1] < 0
        return np.bincount(grain.ravel(), opposed.ravel())[1:] > 0

    def sweep_walls(m, after, field):
        for _ in range(SWEEPS):
            held = reversed_in_part(m, after)
            if not held.any():
                return m, after
            along = (m * magnet.axis).sum(axis=0)
            rest = (grain > 0) & held[grain - 1] & (np.asarray(along) > 0)
            m = jnp.where(rest, m - 2 * along * magnet.axis, m)
            m, after = equilibrium(m, field, np.zeros(grains))
        raise NotConvergedError(f"A grain stays reversed in part at {field:g} T.")

    def moment(m):
        return np.asarray(sums(magnet, jnp.tensordot(magnet.direction, m, 1), grains)) / cells

    longest = STEP * float(magnet.anisotropy_field)
    field, step, failed = longest, longest, -np.inf
    m, branch = equilibrium(magnet.axis, field, np.zeros(grains))
    curve = [(field, moment(m))]
    switching, bracket = np.full((2, grains), np.nan)
    while (branch > 0).any():
        step = max(step, tol)
        final = step == tol
        # The last step runs to the end, since the reversal of a grain may bring about others.
        later, after = equilibrium(m, field - step, np.zeros(grains) if final else branch)
        begun = (after < branch) | reversed_in_part(later, after)
        if begun.any() and not final:
            failed, step = field - step, step / 2
            continue
        field = field - step
        later, after = sweep_walls(later, after, field)
        reverses = after < branch
        m, branch = later, after
        curve.append((field, moment(m)))
        switching[reverses], bracket[reverses] = field + step / 2, step
        if reverses.any():
            failed, step = -np.inf, 8 * tol
        elif field > failed > -np.inf:
            step = (field - failed) / 2
        else:
            failed, step = -np.inf, min(2 * step, longest)
    fields, moments = map(np.array, zip(*curve, strict=True))
    return Curve(fields, moments, switching, bracket, cells, iterations)
