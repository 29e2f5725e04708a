"""Hysteresis loops by the embedded Stoner-Wohlfarth method (Algorithm 1)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keras_micromag.physics.field import (
    DemagOperator,
    check_operator,
    choose_operator,
    operator_told,
)
from keras_micromag.physics.field.dense import dense
from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.physics.solver import field_steps, step_control
from keras_micromag.physics.solver.checkpoint import kept_in
from keras_micromag.physics.solver.equilibria import Loops
from keras_micromag.physics.solver.events import Follower
from keras_micromag.physics.solver.layout import Sizes, in_columns
from keras_micromag.utils import checks
from keras_micromag.utils.backend import require_dtype, tensors
from keras_micromag.utils.progress import Progress

DEFAULT_TOL = {"float32": 1e-5, "float64": 1e-7}
"""Largest change of a moment's component at which an iteration has settled."""

DEFAULT_AVALANCHE = {"steps": "simultaneous", "events": "weakest_first"}
"""Which grains flip at once, by method."""


def simulate(
    structure: Microstructure,
    easy_axes,
    *,
    material: Material | Sequence = ND2FE14B,
    field=None,
    field_direction=(0.0, 0.0, 1.0),
    self_field: bool = False,
    initial_state=None,
    method: str = "steps",
    avalanche: str | None = None,
    dtype: str = "float32",
    tol: float | None = None,
    max_iterations: int = 1000,
    allow_unconverged: bool = False,
    operator: str | DemagOperator = "auto",
    rtol: float = 1e-4,
    progress: bool | None = None,
    checkpoint=None,
) -> Hysteresis:
    """Hysteresis loops by the embedded Stoner-Wohlfarth method (Algorithm 1).

    At each field all moments relax together with their branches held; then every grain with a
    particle outside the astroid flips; this repeats until none flips.

    Args:
        structure: g grains with their particles.
        easy_axes: (g, 3), or (b, g, 3) for b magnets at once, unit vectors.
        material: one for all grains, a sequence of g, or b such sequences, one for each magnet.
        field: (t,) µ0·H in tesla, in any order: the state is carried along it. By default the
            paper's loop, 1000 values from +8 to -8 T.
        field_direction: (3,) unit vector.
        self_field: whether a grain's own demagnetising field acts on its particles. If not (the
            default), its shape belongs into `Material.Kd`.
        initial_state: moments (g, 3) or (b, g, 3), such as a state of another result; only the
            branch of each, the sign of its component along the easy axis, matters. By default
            every grain is on the branch towards the first field (+`field_direction` if it is 0).
        method: "steps" goes from one field to the next (the paper), "events" from one avalanche to
            the next: it finds the field at which each begins to 1e-6 T in float64 (to `tol`, as
            tesla, where that is more) and mostly to 3e-5 T in float32, gives the states at `field`
            in between to about `tol`, and tells all in `Hysteresis.events`; see docs/events.md.
        avalanche: "simultaneous" flips all unstable grains of a pass, "weakest_first" only the one
            that is furthest outside the astroid. By default the first by steps (the paper), the
            second by events.
        dtype: "float32" or "float64" for the iteration; the demagnetising matrix is always
            computed in float64.
        tol: largest change of a moment's component at which an iteration has settled; by default
            1e-5 in float32 and 1e-7 in float64.
        max_iterations: products with the demagnetising matrix allowed per field; by events between
            two flips.
        allow_unconverged: return a state that did not settle, marked in `converged`, instead of
            raising. By events the magnet is given up there, and what would come is nan.
        operator: how demagnetising fields are computed, a kind of `demag_operator`, or one that it
            made for this structure, `self_field` and `dtype`: it serves any number of loops.
        rtol: error of the "hierarchical" operator, see there; one given ready-made keeps its own.
        progress: whether to show a bar, and one before it where the operator takes long to make; by
            default on a terminal.
        checkpoint: a folder for a long loop to keep what it has done, once a minute: after a kill
            or a power cut the same call goes on there, and when it is done it reads the loop back.
            By default nothing is kept. By steps only.

    Returns:
        The loops, without the leading axis b if `easy_axes` had none.

    Raises:
        ValueError: for an argument of the wrong shape or value, for `self_field=True` together
            with `Kd` != 0 (the shape would count twice), for a `dtype` that the backend does not
            really compute in, and for a `checkpoint` that is not a folder, or one of another loop,
            with other or damaged files, or that another process is at.
        OSError: where `checkpoint` cannot be written; what was kept before stays good.
        MemoryError: before more is allocated than there is, naming the size and what would fit.
        ConvergenceError: naming the field step, unless `allow_unconverged`.

    Notes:
        In float32 moments agree with float64 to about 1e-5, to 1e-4 where grains are strongly
        coupled, and single particles near their fold to some 1e-3.

        Algorithm 1 itself need not end: where the fields at two particles of a grain call for
        opposite branches, each flips it back. This happens with soft grains, in which the
        demagnetising field exceeds the anisotropy field, and above the anisotropy field with an
        easy axis across it. Such a step is one that does not converge.

        TensorFlow and JAX compile once for magnets of as many grains and particles, in batches of
        as many, whatever the fields: by events for any number of them, by steps up to the next
        power of two.

        A loop that goes on from its `checkpoint` is that of an undisturbed run to the last bit
        wherever two runs are: on CPUs of one kind. The folder grows to the size of
        `magnetization`, and knows the versions that wrote it: with others it is refused.

    Example:
        >>> from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
        >>> magnet = cubic_grains((2, 2, 2))
        >>> loop = simulate(magnet, random_easy_axes(8, seed=1), field=[8.0, 0.0, -8.0])
        >>> loop.magnetization.shape
        (3, 8, 3)
    """
    g = len(checks.instance(structure, "structure", Microstructure))
    axes = checks.finite_array(easy_axes, "easy_axes")
    single = axes.ndim == 2
    shape = (g, 3) if single else (None, g, 3)
    axes = checks.unit_vectors(axes, "easy_axes", shape, f"with g = {g}")
    axes = axes[None] if single else axes
    self_field = checks.flag(self_field, "self_field")
    materials = _per_magnet(material, len(axes), g, self_field)
    field = np.linspace(8.0, -8.0, 1000) if field is None else field
    field = checks.finite_array(field, "field", (None,))
    if len(field) == 0:
        raise ValueError("`field` must hold at least one value; received none.")
    direction, avalanche, tol = check_method(
        field_direction, method, avalanche, dtype, tol, max_iterations
    )
    if method == "events" and checkpoint is not None:
        raise ValueError(
            "`checkpoint` must be None for `method` 'events', which keeps none; "
            f"received {str(checkpoint)!r}."
        )
    branch = _branches(axes, direction, field[0], initial_state, single)

    operator = choose_operator(operator, structure, self_field, dtype, rtol)
    polarization = np.array([[m.Js for m in row] for row in materials])
    if len(materials) < len(axes) or len(axes) == 1:
        polarization = polarization[0]
    volumes = np.array(structure.volumes)

    def prepared(field):
        """The magnets as the solver takes them along a field, and their branches; with padding.

        All in NumPy.
        """
        made = check_operator(operator, structure, self_field, dtype, rtol, progress)
        sizes = Sizes.of(structure)
        sizes = sizes.shared if made == "dense" else sizes
        body = embed(
            structure,
            materials,
            made,
            self_field=self_field,
            direction=direction,
            dtype=dtype,
            sizes=sizes,
        )
        missing = [(0, 0), (0, sizes.grains - g)]
        padded = np.pad(np.swapaxes(axes, 1, 2), [(0, 0), *missing], constant_values=3**-0.5)
        # Compiled code for so many fields serves all that are fewer, down to half of them.
        room = np.pad(field, (0, _room(len(field)) - len(field)), mode="edge")
        fields = np.broadcast_to(room, (len(axes), len(room)))
        magnet = field_steps.magnet(body, padded, fields, tol, max_iterations, end=len(field))
        return magnet, np.pad(branch, missing, constant_values=1.0)

    if method == "events":
        Loops.require_room(len(axes), len(field), g, dtype)
        # Compiled code shall not depend on how many fields are asked for.
        magnet, padded = prepared(field[:1])
        share = np.atleast_2d(polarization * volumes)
        share = share / share.sum(axis=1, keepdims=True)
        follower = Follower(
            magnet,
            padded,
            field,
            share,
            direction,
            avalanche=avalanche,
            dtype=dtype,
            refuse=not allow_unconverged,
        )
        with Progress(progress, follower) as bar:
            follower.follow(bar)
        found = follower.result()
    else:
        loops = Loops(len(axes), field, g, dtype)
        follows_from = {
            "structure": structure,
            "easy_axes": axes,
            "material": np.array([[(m.Js, m.anisotropy_field) for m in row] for row in materials]),
            "field": field,
            "field_direction": direction,
            "self_field": self_field,
            "initial_state": branch,
            "avalanche": avalanche,
            "dtype": dtype,
            "tol": tol,
            "max_iterations": max_iterations,
            "operator": operator_told(operator, rtol),
        }
        with kept_in(checkpoint, loops, follows_from) as kept:
            _walk(
                loops,
                kept,
                prepared,
                avalanche,
                dtype,
                progress,
                None if allow_unconverged else max_iterations,
            )
        found = loops
    result = Hysteresis(
        field=field,
        magnetization=found.moments,
        easy_axes=axes,
        converged=found.converged,
        iterations=found.iterations,
        polarization=polarization,
        volumes=volumes,
        packing_fraction=structure.packing_fraction,
        field_direction=direction,
        events=found.events if method == "events" else None,
    )
    return _first_magnet(result) if single else result


def _walk(loops, kept, prepared, avalanche, dtype, progress, refused):
    """Go from field to field, from where `kept` has left off, until the loops are complete.

    Args:
        refused: the products after which a field that is not settled raises; None for never.
    """
    state = kept.resume()
    if refused:
        loops.refuse_unconverged(refused)
    if not loops.complete:
        magnet, branch = prepared(loops.field)
        state = field_steps.start(magnet, branch) if state is None else state
        magnet, state = tensors((magnet, state), dtype)
    with Progress(progress, loops) as bar:
        while not loops.complete:
            state, records = field_steps.advance(magnet, state, avalanche)
            loops.collect(records)
            if refused:
                loops.refuse_unconverged(refused)
            kept.save(state)
            bar(state)


def check_method(field_direction, method, avalanche, dtype, tol, max_iterations):
    """Direction as an array, avalanche and tolerance, if `simulate` can take all of these."""
    direction = checks.unit_vectors(field_direction, "field_direction", (3,))
    checks.one_of(method, "method", tuple(DEFAULT_AVALANCHE))
    avalanche = DEFAULT_AVALANCHE[method] if avalanche is None else avalanche
    checks.one_of(avalanche, "avalanche", ("simultaneous", "weakest_first"))
    checks.one_of(dtype, "dtype", ("float32", "float64"))
    require_dtype(dtype)
    tol = checks.number(DEFAULT_TOL[dtype] if tol is None else tol, "tol", above=0)
    checks.count(max_iterations, "max_iterations")
    return direction, avalanche, tol


def per_grain(material, g: int, self_field: bool) -> list[Material]:
    """One material for each of g grains; refuses a shape that would count twice."""
    materials = [material] * g if isinstance(material, Material) else list(material)
    if len(materials) != g or not all(isinstance(m, Material) for m in materials):
        raise ValueError(
            f"`material` must be a Material or a sequence of g = {g} of them; "
            f"received {material!r:.200}."
        )
    if self_field and any(m.Kd != 0 for m in materials):
        raise ValueError(
            "`self_field` must be False where `Kd` is not 0, or the grain's shape counts twice; "
            "received True."
        )
    return materials


def _room(fields: int) -> int:
    return max(16, 2 ** (fields - 1).bit_length())


def _per_magnet(material, b: int, g: int, self_field: bool) -> list[list[Material]]:
    """The materials of all b magnets, or a single row for all of them."""
    if isinstance(material, Material) or not any(isinstance(m, list | tuple) for m in material):
        return [per_grain(material, g, self_field)]
    if len(material) != b:
        raise ValueError(
            f"`material` must be one for all magnets, or hold one sequence for each of b = {b}; "
            f"received {len(material)}."
        )
    return [per_grain(row, g, self_field) for row in material]


def _branches(axes, direction, first_field, initial_state, single):
    if initial_state is None:
        towards = np.where(first_field >= 0, 1.0, -1.0)
        return np.where(towards * (axes @ direction) >= 0, 1.0, -1.0)
    shape = axes.shape[1:] if single else axes.shape
    moments = checks.unit_vectors(initial_state, "initial_state", shape, "like `easy_axes`")
    return np.where(np.einsum("bgi,bgi->bg", moments.reshape(axes.shape), axes) >= 0, 1.0, -1.0)


def embed(
    structure: Microstructure,
    materials,
    operator: str | DemagOperator,
    *,
    self_field: bool,
    direction,
    dtype: str,
    sizes: Sizes | None = None,
) -> field_steps.Body:
    """The grains as the solver sees them, in units of their anisotropy fields.

    Args:
        materials: b rows of one for each of the g grains; a single row stands for any b.
        operator: "dense", to be made here with that room, or one that is made.
        direction: (3,) unit vector of the applied field.
        dtype: to round to; all is computed in float64.
        sizes: room to make, by default for the structure's own; grains that are not there come
            last, feel no field and make none.
    """
    sizes = sizes or Sizes.of(structure)
    if operator == "dense":
        room = sizes.grains, sizes.particles
        product, places = dense(structure, self_field, dtype, room)
    else:
        product, places = operator.product, operator.places
    polarization = np.array([[m.Js for m in row] for row in materials])
    anisotropy_field = np.array([[m.anisotropy_field for m in row] for row in materials])
    columns = in_columns(structure, places, sizes)

    def of_grains(values):
        return np.pad(values, [(0, 0), (0, sizes.grains - len(structure))])

    softness = of_grains(1 / anisotropy_field)
    if len(columns.grain):
        softness = softness[:, columns.grain]
    return field_steps.Body(
        product=product,
        columns=columns,
        direction=np.reshape(np.asarray(direction, float), (3, 1, 1)),
        strength=of_grains(polarization)[:, None],
        softness=softness[:, None, None],
        longest=step_control.LONGEST_STRIDE * anisotropy_field.min(axis=1, keepdims=True),
        turn=step_control.LARGEST_TURN * anisotropy_field.min(axis=1) / polarization.max(axis=1),
    )


def _first_magnet(result):
    batched = ("magnetization", "easy_axes", "converged", "iterations")
    return replace(result, **{name: getattr(result, name)[0] for name in batched})
