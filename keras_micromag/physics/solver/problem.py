"""The problem of a simulation: its arguments, checked, and their layout for the solvers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.field import DemagOperator, choose_operator
from keras_micromag.physics.field.exchange import (
    Pairs,
    checked_exchange,
    exchange_pairs,
    in_product,
    largest_field,
)
from keras_micromag.physics.hysteresis import Events
from keras_micromag.physics.microstructure.material import (
    Material,
    calibrated_depth,
    for_each_grain,
)
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.physics.solver import field_steps, relaxation, step_control
from keras_micromag.physics.solver.layout import Sizes, exchange_in_columns, in_columns
from keras_micromag.physics.thermal import Thermal, checked_thermal, softening
from keras_micromag.utils import checks
from keras_micromag.utils.backend import require_dtype

DEFAULT_TOL = {"float32": 1e-5, "float64": 1e-7}
"""Largest change of a moment's component at which an iteration has converged."""

_DEPTH_RATIO = 1.1
"""Largest ratio of the calibrated depths of a grain in a batch, which are then about 5 % off the
middle one at most."""


class Solution(NamedTuple):
    """The states of b magnets at t fields, as every solver returns them."""

    moments: np.ndarray  # (b, t, g, 3) unit vectors
    converged: np.ndarray  # (b, t) bool
    iterations: np.ndarray  # (b, t) products with the demagnetising operator
    events: Events | None = None


@dataclass(frozen=True)
class SolverOptions:
    """The options of a solver; `simulate` documents each."""

    method: str
    avalanche: str
    dtype: str
    tol: float
    max_iterations: int
    allow_unconverged: bool = False

    @classmethod
    def checked(
        cls, method, avalanche, dtype, tol, max_iterations, allow_unconverged=False
    ) -> "SolverOptions":
        """Check the arguments of `simulate` of these names, and fill in the defaults."""
        checks.one_of(method, "method", ("steps", "events"))
        checks.one_of(avalanche, "avalanche", ("simultaneous", "weakest_first"))
        checks.one_of(dtype, "dtype", tuple(DEFAULT_TOL))
        require_dtype(dtype)
        tol = checks.number(DEFAULT_TOL[dtype] if tol is None else tol, "tol", above=0)
        checks.count(max_iterations, "max_iterations", most=checks.MOST_ITERATIONS)
        allow_unconverged = checks.flag(allow_unconverged, "allow_unconverged")
        return cls(method, avalanche, dtype, tol, max_iterations, allow_unconverged)


@dataclass(frozen=True, eq=False)
class Problem:
    """b magnets of g grains along t fields.

    Attributes:
        operator: of g grains with their particles; it may not be built yet.
        easy_axes: (b, g, 3) unit vectors.
        materials: b rows of g materials, or a single row for all magnets.
        field: (t,) µ0·H in tesla.
        direction: (3,) unit vector of the field.
        branch: (b, g) ±1, the branch on which each grain starts.
        exchange: J in J/m² between neighbours, () or (g, g).
        thermal: activation, or None.
        options: of the solver.
        progress: whether to show a bar; on a terminal if None.
        single: whether it is of one magnet, whose axes came as (g, 3).
    """

    operator: DemagOperator
    easy_axes: np.ndarray
    materials: list[list[Material]]
    field: np.ndarray
    direction: np.ndarray
    branch: np.ndarray
    exchange: np.ndarray
    thermal: Thermal | None
    options: SolverOptions
    progress: bool | None
    single: bool

    @classmethod
    def checked(
        cls,
        structure,
        easy_axes,
        *,
        material,
        field,
        field_direction,
        self_field,
        exchange,
        thermal,
        initial_state,
        operator,
        rtol,
        progress,
        options: SolverOptions,
    ) -> "Problem":
        """Check the arguments of `simulate` of these names."""
        g = len(checks.instance(structure, "structure", Microstructure))
        axes = checks.finite_array(easy_axes, "easy_axes")
        single = axes.ndim == 2
        shape = (g, 3) if single else (None, g, 3)
        axes = checks.unit_vectors(axes, "easy_axes", shape, f"with g = {g}")
        axes = axes[None] if single else axes
        self_field = checks.self_field(self_field)
        materials = _per_magnet(material, len(axes), g, self_field)
        field = np.linspace(8.0, -8.0, 1000) if field is None else field
        field = checks.finite_array(field, "field", (None,))
        if len(field) == 0:
            raise ValueError("`field` must hold at least one value; received none.")
        direction = checks.unit_vectors(field_direction, "field_direction", (3,))
        structure = _calibrated(structure, materials)
        return cls(
            operator=choose_operator(operator, structure, self_field, options.dtype, rtol),
            easy_axes=axes,
            materials=materials,
            field=field,
            direction=direction,
            branch=_branches(axes, direction, field[0], initial_state, single),
            exchange=checked_exchange(exchange, g),
            thermal=checked_thermal(thermal),
            options=options,
            progress=progress,
            single=single,
        )

    @property
    def raises(self) -> bool:
        """Whether a field without an equilibrium is an error; in a batch the others go on."""
        return self.single and not self.options.allow_unconverged

    @property
    def exchange_field(self) -> float:
        """The largest field of neighbours by exchange, in tesla."""
        return largest_field(self.exchange, self.materials)

    @property
    def structure(self) -> Microstructure:
        """The g grains with their particles."""
        return self.operator.structure

    @property
    def polarization(self) -> np.ndarray:
        """Js of the grains in tesla: (g,), or (b, g) where it differs between magnets."""
        polarization = np.array([[m.Js for m in row] for row in self.materials])
        if len(self.materials) == 1:
            return polarization[0]
        return polarization

    def laid_out(self, field) -> tuple[field_steps.Magnet, np.ndarray]:
        """Return the magnets along `field` (n,) as the solvers take them, and their branches.

        All in NumPy; grains, particles and fields are padded, so that magnets of similar sizes
        share a compiled loop.
        """
        options = self.options
        sizes = Sizes.of(self.structure)
        sizes = sizes.shared if self.operator.can_pad else sizes
        body = embed(
            self.operator,
            self.materials,
            self.direction,
            self.exchange,
            softening(self.thermal, self.structure, self.materials, len(self.easy_axes)),
            sizes,
            self.progress,
        )
        missing = [(0, 0), (0, sizes.grains - len(self.structure))]
        axes = np.swapaxes(self.easy_axes, 1, 2)
        axes = np.pad(axes, [(0, 0), *missing], constant_values=3**-0.5)
        # Code compiled for so many fields serves fewer, too, down to half of them.
        padded = np.pad(field, (0, _capacity(len(field)) - len(field)), mode="edge")
        fields = np.broadcast_to(padded, (len(axes), len(padded)))
        magnet = field_steps.magnet(
            body, axes, fields, options.tol, options.max_iterations, end=len(field)
        )
        return magnet, np.pad(self.branch, missing, constant_values=1.0)


def per_grain(
    material: Material | Sequence[Material], g: int, self_field: checks.SelfField
) -> list[Material]:
    """Return one material for each of g grains.

    Raises:
        ValueError: for another number of materials, and for `self_field` together with a `Kd` that
            is not 0, since the grain's shape would count twice.
    """
    materials = for_each_grain(material, g)
    if self_field and any(m.Kd != 0 for m in materials):
        raise ValueError(
            "`self_field` must be False where `Kd` is not 0, or the grain's shape counts twice; "
            f"received {self_field!r}."
        )
    return materials


def embed(
    operator: DemagOperator,
    materials: list[list[Material]],
    direction: ArrayLike,
    exchange: np.ndarray,
    thermal: np.ndarray,
    sizes: Sizes | None = None,
    progress: bool | None = None,
) -> field_steps.Body:
    """Lay grains and materials out as the solvers take them, in units of the anisotropy fields.

    Args:
        operator: of g grains; it is built here unless it holds its arrays.
        materials: b rows of one for each of the g grains; a single row stands for any b.
        direction: (3,) unit vector of the applied field.
        exchange: J in J/m² between neighbours, () or (g, g).
        thermal: (b, k, g) of `softening`.
        sizes: of the padded arrays, by default the structure's own. Grains that are padding are
            the last ones, feel no field and make none.
        progress: whether to show a bar where the operator takes long to build.
    """
    structure = operator.structure
    sizes = sizes or Sizes.of(structure)
    product, places, _ = operator.build((sizes.grains, sizes.particles), progress)
    polarization = np.array([[m.Js for m in row] for row in materials])
    anisotropy_field = np.array([[m.anisotropy_field for m in row] for row in materials])
    columns = in_columns(structure, places, sizes)
    pairs = exchange_pairs(structure, exchange, materials)
    coupling = relaxation.coupling(
        polarization, anisotropy_field, operator.self_field, _mean_field(structure, pairs)
    )

    if len(materials) == 1 and len(pairs.grain):
        coupled = in_product(product, places, pairs, polarization)
        product, pairs = (product, pairs) if coupled is None else (coupled, Pairs.none())

    def padded(values):
        return np.pad(values, [(0, 0), (0, sizes.grains - len(structure))])

    softness = padded(1 / anisotropy_field)
    thermal = np.pad(thermal, [(0, 0), (0, 0), (0, sizes.grains - len(structure))])
    if len(columns.grain):
        softness, thermal = softness[:, columns.grain], thermal[:, :, columns.grain]
    return field_steps.Body(
        product=product,
        columns=columns,
        direction=np.reshape(np.asarray(direction, float), (3, 1, 1)),
        strength=padded(polarization)[:, None],
        exchange=exchange_in_columns(structure, pairs, sizes),
        softness=softness[:, None, None],
        thermal=thermal,
        turn=step_control.LARGEST_TURN * anisotropy_field.min(axis=1) / polarization.max(axis=1),
        coupling=padded(coupling),
        patience=relaxation.patience(coupling, operator.self_field),
        longest=step_control.LONGEST_STRIDE * anisotropy_field.min(axis=1, keepdims=True),
    )


def _mean_field(structure, pairs):
    """Return (b, g) in tesla: the mean field at a grain's particles of aligned neighbours."""
    field = np.zeros((len(pairs.strength), len(structure)))
    share = pairs.strength * structure.weights[pairs.grain, pairs.particle]
    np.add.at(field, (slice(None), pairs.grain), share)
    return field


def _capacity(fields: int) -> int:
    return max(16, 2 ** (fields - 1).bit_length())


def _per_magnet(material, b: int, g: int, self_field: checks.SelfField) -> list[list[Material]]:
    """Return the materials of all b magnets, or a single row for all of them."""
    if isinstance(material, Material) or not any(isinstance(m, list | tuple) for m in material):
        return [per_grain(material, g, self_field)]
    if len(material) != b:
        raise ValueError(
            f"`material` must be one for all magnets, or hold one sequence for each of b = {b}; "
            f"received {len(material)}."
        )
    return [per_grain(row, g, self_field) for row in material]


def _calibrated(structure: Microstructure, materials: list[list[Material]]) -> Microstructure:
    """Return the structure with particles at the calibrated depths of the magnets' materials.

    All magnets share them: for each grain the material of the middle depth sets its own.
    """
    if not structure.is_movable:
        return structure
    depth = np.array([[calibrated_depth(m) for m in row] for row in materials])
    if (depth.max(axis=0) > _DEPTH_RATIO * depth.min(axis=0)).any():
        low, high = 1e9 * depth.min(), 1e9 * depth.max()
        raise ValueError(
            "`material` must have about one calibrated depth in all magnets, which share their "
            f"particles; received materials with {low:.2f} to {high:.2f} nm: simulate them in "
            "turn, or give the structure a `material` or `depth`."
        )
    middle = np.argsort(depth, axis=0)[len(depth) // 2]
    return structure.calibrated_for([materials[b][g] for g, b in enumerate(middle)])


def _branches(axes, direction, first_field, initial_state, single):
    """Return (b, g) ±1: the branches of the initial state, or those towards the first field."""
    if initial_state is None:
        towards = np.where(first_field >= 0, 1.0, -1.0)
        return np.where(towards * (axes @ direction) >= 0, 1.0, -1.0)
    shape = axes.shape[1:] if single else axes.shape
    moments = checks.unit_vectors(initial_state, "initial_state", shape, "like `easy_axes`")
    return np.where(np.einsum("bgi,bgi->bg", moments.reshape(axes.shape), axes) >= 0, 1.0, -1.0)
