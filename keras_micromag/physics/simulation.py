"""Hysteresis loops by the embedded Stoner-Wohlfarth method (Algorithm 1)."""

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.field import DemagOperator, Kind
from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.physics.microstructure.material import ND2FE14B, Material, at_temperature
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.physics.solver import by_events, by_steps
from keras_micromag.physics.solver.problem import Problem, SolverOptions
from keras_micromag.physics.thermal import Thermal
from keras_micromag.physics.trust import estimate
from keras_micromag.utils import checks


def simulate(
    structure: Microstructure,
    easy_axes: ArrayLike,
    *,
    material: Material | Sequence = ND2FE14B,
    temperature: float | None = None,
    field: ArrayLike | None = None,
    field_direction: ArrayLike = (0.0, 0.0, 1.0),
    self_field: checks.SelfField = "nucleus",
    exchange: ArrayLike = 0.0,
    thermal: Thermal | None = None,
    initial_state: ArrayLike | None = None,
    method: Literal["steps", "events"] = "steps",
    avalanche: Literal["weakest_first", "simultaneous"] = "weakest_first",
    dtype: Literal["float32", "float64"] = "float32",
    tol: float | None = None,
    max_iterations: int = 5000,
    allow_unconverged: bool = False,
    operator: Kind | DemagOperator = "auto",
    rtol: float = 1e-4,
    progress: bool | None = None,
    checkpoint: str | PathLike | None = None,
) -> Hysteresis:
    """Compute hysteresis loops by the embedded Stoner-Wohlfarth method (Algorithm 1).

    At each field all moments relax together with their branches held; then every grain with a
    particle outside the astroid flips; this repeats until none flips.

    Args:
        structure: g grains with their particles, which are placed here if they lie at the
            calibrated depth and no material was given to the structure.
        easy_axes: (g, 3), or (b, g, 3) for b magnets at once, unit vectors.
        material: one for all grains, a sequence of g, or b such sequences, one for each magnet.
        temperature: in kelvin, at which `Material.at` takes every material; by default they are
            taken as they are. Particles at the calibrated depth move with the material, others
            stay; see docs/explanation/real_magnets.md. Grains are activated by `thermal` alone.
        field: (t,) µ0·H in tesla, in any order: the state is carried along it. By default the
            paper's loop, 1000 values from +8 to -8 T.
        field_direction: (3,) unit vector.
        self_field: whether a grain's own demagnetising field acts on its particles. "nucleus"
            leaves out the part that turns with the nucleus of a reversal: with particles at the
            calibrated depth, as they are by default, switching fields are then those of
            micromagnetics, see docs/explanation/trust.md. True is the entire field. With False, as
            in the paper, a grain's shape belongs into `Material.Kd`.
        exchange: J in J/m² by which grains couple across their boundaries, one for all or (g, g)
            for each pair, see `areal_exchange`. Grains must be convex then.
        thermal: activation at a temperature and a sweep rate, or a time at each field; by default
            grains reverse where they have no equilibrium left. See `Thermal`.
        initial_state: moments (g, 3) or (b, g, 3), such as a state of another result; only the
            branch of each, the sign of its component along the easy axis, matters. By default
            every grain is on the branch towards the first field (+`field_direction` if it is 0).
        method: "steps" goes from one field to the next (the paper), "events" from one avalanche to
            the next: it finds the field at which each begins mostly to 3e-5 T; in float64 without
            an own field to 1e-6 T (to `tol`, as tesla, where that is more). The states at `field`
            are accurate to about `tol`, and `Hysteresis.events` lists the events; see
            docs/how_to/events.md.
        avalanche: "weakest_first" flips the one unstable grain in a pass that is furthest outside
            the astroid, which agrees better with micromagnetics; "simultaneous" flips all (the
            paper).
        dtype: "float32" or "float64" for the iteration; the demagnetising matrix is always
            computed in float64.
        tol: largest change of a moment's component at which an iteration has converged; by default
            1e-5 in float32 and 1e-7 in float64.
        max_iterations: products with the demagnetising matrix allowed per field; by events between
            two flips.
        allow_unconverged: return a state that did not converge, marked in `converged`, without an
            error or a warning. By events the magnet is given up there, and later states are nan.
        operator: how demagnetising fields are computed: a kind of `demag_operator`, or an operator
            that it built for this structure, `self_field` and `dtype`, for any number of loops.
        rtol: error of an operator that is built here, see `demag_operator`.
        progress: whether to show a bar, and one before it where the operator takes long to build;
            by default on a terminal.
        checkpoint: a folder in which a long loop is saved once a minute: after a kill or a power
            cut the same call continues it, and once it is complete reads it. By default nothing is
            saved. By steps only.

    Returns:
        The loops, without the leading axis b if `easy_axes` had none. Of a batch, a magnet that
        finds no equilibrium does not stop the others: a UserWarning names it, `converged` is False
        from that field on, and its states there are nan.

    Raises:
        ValueError: for an argument of the wrong shape or value, for a `self_field` together
            with `Kd` != 0 (the shape would count twice), for a `temperature` at which the law of a
            material does not hold, for a `dtype` that the backend does not really compute in, and
            for a `checkpoint` that is not a folder, belongs to another loop, holds other or damaged
            files, or is in use by another process.
        OSError: where `checkpoint` cannot be written; what was saved before remains.
        MemoryError: before more is allocated than there is, naming the size and what would fit.
        ConvergenceError: naming the field step at which a single magnet, `easy_axes` (g, 3), finds
            no equilibrium, unless `allow_unconverged`.

    Notes:
        In float32 moments agree with float64 to about 1e-5, to 1e-4 where grains are strongly
        coupled, and single particles near their fold to some 1e-3.

        Where the fields at two particles of a grain call for opposite branches, it takes the one on
        which its furthest particle is less far outside the astroid. At one field a grain flips at
        most twice, so that every avalanche ends; docs/explanation/method.md says why it might not.

        TensorFlow and JAX compile once for magnets of as many grains and particles, in batches of
        as many, whatever the fields: by events for any number of them, by steps up to the next
        power of two.

        A loop that continues from its `checkpoint` equals that of an undisturbed run to the last
        bit wherever two runs do: on CPUs of one kind. The folder grows to the size of
        `magnetization`. It names the versions that wrote it: others refuse it.

    Example:
        >>> from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
        >>> magnet = cubic_grains((2, 2, 2))
        >>> loop = simulate(magnet, random_easy_axes(8, seed=1), field=[8.0, 0.0, -8.0])
        >>> loop.magnetization.shape
        (3, 8, 3)
    """
    options = SolverOptions.checked(
        method, avalanche, dtype, tol, max_iterations, allow_unconverged
    )
    if temperature is not None:
        temperature = checks.number(temperature, "temperature", least=0)
        if isinstance(thermal, Thermal) and thermal.temperature != temperature:
            raise ValueError(
                "`thermal` must have the temperature of the materials; received "
                f"{thermal.temperature:g} and `temperature` = {temperature:g} K."
            )
    problem = Problem.checked(
        structure,
        easy_axes,
        material=at_temperature(material, temperature),
        field=field,
        field_direction=field_direction,
        self_field=self_field,
        exchange=exchange,
        thermal=thermal,
        initial_state=initial_state,
        operator=operator,
        rtol=rtol,
        progress=progress,
        options=options,
    )
    if options.method == "steps":
        solution = by_steps.solve(problem, checkpoint)
    elif checkpoint is None:
        solution = by_events.solve(problem)
    else:
        raise ValueError(
            "`checkpoint` must be None for `method` 'events', which keeps none; "
            f"received {str(checkpoint)!r}."
        )
    loops = Hysteresis(
        field=problem.field,
        magnetization=solution.moments,
        easy_axes=problem.easy_axes,
        converged=solution.converged,
        iterations=solution.iterations,
        polarization=problem.polarization,
        volumes=np.array(structure.volumes),
        packing_fraction=structure.packing_fraction,
        field_direction=problem.direction,
        events=solution.events,
        trust=estimate(
            problem.structure,
            problem.materials,
            problem.easy_axes,
            problem.direction,
            problem.operator.self_field,
            problem.exchange,
        ),
    )
    if problem.single:
        return loops[0]
    if not options.allow_unconverged:
        _warn_of_unconverged(loops.converged, options.max_iterations)
    return loops


def _warn_of_unconverged(converged, max_iterations):
    """Warn of the magnets that found no equilibrium at a field; `converged` is (b, t)."""
    failed = np.flatnonzero(~converged.all(axis=1)).tolist()
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(converged)} magnets found no equilibrium within "
            f"`max_iterations` = {max_iterations}: {', '.join(map(str, failed))}. "
            "`converged` marks where, and their states there are nan.",
            stacklevel=3,
        )
