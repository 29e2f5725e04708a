"""Faults with which a test must fail: each one edit of one line or two of the source.

They stand for slips that are easily made and hard to see: a sign, a factor, an index, an ignored
option, a wrong axis, a dtype, a swapped default. `tests` are the modules of which a test should
fail; the backend is JAX unless the code is another's.
"""

from typing import NamedTuple


class Mutation(NamedTuple):
    """Replace `old`, which occurs once in `file`, by `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    backend: str = "jax"


PHYSICS = "keras_micromag/physics/"
SOLVER, EVENTS = PHYSICS + "solver/", PHYSICS + "solver/events/"
FIELD, MICROSTRUCTURE = PHYSICS + "field/", PHYSICS + "microstructure/"
SOLVER_TESTS = "tests/physics/test_simulation.py tests/physics/solver/test_events.py"

MUTATIONS = [
    # Demagnetising field
    Mutation(
        "field beside an edge without its stable form",
        FIELD + "demag.py",
        "beside = dot <= 0",
        "beside = dot < -np.inf",
        "tests/physics/field/test_demag.py",
    ),
    Mutation(
        "blocks of equal offsets shared between unequal particles",
        FIELD + "demag.py",
        "_distinct(np.column_stack([classes, shifts / (_SAME * body.size)]))",
        "_distinct(shifts / (_SAME * body.size))",
        "tests/physics/field/test_demag.py",
    ),
    Mutation(
        "padding left in the matrix",
        FIELD + "demag.py",
        "matrix[structure.weights == 0] = 0.0",
        "pass",
        "tests/physics/field/test_demag.py",
    ),
    # Temperature
    Mutation(
        "exchange stiffness changes as m instead of m²",
        MICROSTRUCTURE + "material.py",
        "A=js**2 * self.A,",
        "A=js * self.A,",
        "tests/physics/microstructure/test_temperature.py",
    ),
    Mutation(
        "after a change of temperature the law still refers to the old one",
        MICROSTRUCTURE + "material.py",
        "temperature_law=replace(self.temperature_law, reference=temperature),",
        "temperature_law=self.temperature_law,",
        "tests/physics/microstructure/test_temperature.py",
    ),
    Mutation(
        "materials of single grains stay cold",
        MICROSTRUCTURE + "material.py",
        "return [at_temperature(each, temperature) for each in material]",
        "return material",
        "tests/physics/microstructure/test_temperature.py",
    ),
    Mutation(
        "the standard error of alpha as that of N_eff",
        "keras_micromag/analysis.py",
        "n_eff_error=float(line.intercept_stderr)",
        "n_eff_error=float(line.stderr)",
        "tests/test_analysis.py",
    ),
    # Geometry
    Mutation(
        "points beyond a reentrant face count as inside",
        PHYSICS + "geometry/polyhedron.py",
        "np.moveaxis(self.vertices[self.surface][:, :, None] - points, 1, 0)",
        "np.moveaxis(self.vertices[self.triangles][:, :, None] - points, 1, 0)",
        "tests/physics/geometry/test_polyhedron.py",
    ),
    Mutation(
        "cuts through a corner",
        PHYSICS + "geometry/polygons.py",
        "(c, a, -_FLAT))",
        "(c, a, _FLAT))",
        "tests/physics/geometry/test_polygons.py",
    ),
    Mutation(
        "no tolerance for coordinates of 32 bits",
        PHYSICS + "geometry/overlap.py",
        "_ROUNDING = 4 * 2.0**-24",
        "_ROUNDING = 2.0**-50",
        "tests/physics/geometry/test_overlap.py",
    ),
    Mutation(
        "walls without an image of a seed",
        MICROSTRUCTURE + "voronoi/diagram.py",
        "np.where(nearest < 3 * spacing, 0, nearest)",
        "0",
        "tests/physics/microstructure/test_voronoi.py",
    ),
    # Particle
    Mutation(
        "a particle switches whatever its direction",
        SOLVER + "relaxation.py",
        "unstable = (along < 0) & (cubed > 1.0)",
        "unstable = cubed > 1.0",
        SOLVER_TESTS,
    ),
    Mutation(
        "padding can make a grain unstable",
        SOLVER + "relaxation.py",
        "ops.where((along < 0) & real, measure, zero)",
        "ops.where(along < 0, measure, zero)",
        "tests/physics/solver/test_relaxation.py",
    ),
    Mutation(
        "equilibrium below the fold where the branch has ended",
        SOLVER + "stoner_wohlfarth.py",
        "return xp.where(unstable, fold, tau), unstable",
        "return tau, unstable",
        "tests/physics/solver/test_stoner_wohlfarth.py",
    ),
    Mutation(
        "slope of the torque with a wrong factor",
        SOLVER + "stoner_wohlfarth.py",
        "slope = (4.0 * product + 3.0 * less)",
        "slope = (4.0 * product + 2.0 * less)",
        "tests/physics/solver/test_stoner_wohlfarth.py " + SOLVER_TESTS,
    ),
    # Field steps
    Mutation(
        "flips are predicted without a margin",
        SOLVER + "relaxation.py",
        "_SAFETY = 4.0",
        "_SAFETY = 0.02",
        SOLVER_TESTS,
    ),
    Mutation(
        "grains that flipped keep their slope",
        SOLVER + "step_control.py",
        "state.slope * ops.cast(state.flipped < 0.5, state.slope.dtype)[:, None],\n    )\n    bend",
        "state.slope,\n    )\n    bend",
        "tests/physics/solver/test_step_control.py",
    ),
    Mutation(
        "strides end close to switching",
        SOLVER + "step_control.py",
        "STABLE = 0.89",
        "STABLE = 1.2",
        "tests/physics/solver/test_step_control.py",
    ),
    Mutation(
        "strides cross turning points of the field",
        SOLVER + "step_control.py",
        "xp.where(same & (away <= longest), further, furthest)",
        "xp.where(away <= longest, further, furthest)",
        "tests/physics/solver/test_step_control.py",
    ),
    Mutation(
        "weakest_first is ignored by steps",
        SOLVER + "field_steps.py",
        'if avalanche == "weakest_first":',
        "if False:",
        SOLVER_TESTS,
    ),
    Mutation(
        "every state counts as converged",
        SOLVER + "field_steps.py",
        'converged=ops.cast(decision.converged & ~trial.any_unstable, "int32"),',
        "converged=ops.ones_like(target),",
        SOLVER_TESTS,
    ),
    Mutation(
        "compiled loop without the interpolated states",
        SOLVER + "field_steps.py",
        "origin = ops.take_along_axis(origin, target, axis=1)",
        "origin = ops.take_along_axis(origin, target, axis=1) * 0",
        "tests/layers/test_layers.py",
    ),
    # Arguments of simulate
    Mutation(
        "a tolerance hundred times as large",
        SOLVER + "problem.py",
        'DEFAULT_TOL = {"float32": 1e-5, "float64": 1e-7}',
        'DEFAULT_TOL = {"float32": 1e-3, "float64": 1e-5}',
        SOLVER_TESTS,
    ),
    Mutation(
        "all unstable grains flip at once by default",
        "keras_micromag/physics/simulation.py",
        'avalanche: Literal["weakest_first", "simultaneous"] = "weakest_first",',
        'avalanche: Literal["weakest_first", "simultaneous"] = "simultaneous",',
        SOLVER_TESTS,
    ),
    Mutation(
        "the initial state is ignored",
        SOLVER + "problem.py",
        "if initial_state is None:",
        "if True:",
        SOLVER_TESTS,
    ),
    Mutation(
        "one polarisation for all magnets",
        SOLVER + "problem.py",
        "if len(self.materials) == 1:",
        "if True:",
        SOLVER_TESTS,
    ),
    # Figures of merit
    Mutation(
        "demagnetising factor with the wrong sign",
        PHYSICS + "hysteresis.py",
        "field = direction * self.field - factor * polarization",
        "field = direction * self.field + factor * polarization",
        "tests/physics/test_hysteresis.py",
    ),
    Mutation(
        "remanence without the packing fraction",
        PHYSICS + "hysteresis.py",
        "return np.asarray(mean * self.packing_fraction)",
        "return np.asarray(mean)",
        "tests/physics/test_hysteresis.py",
    ),
    Mutation(
        "figures of merit of descending loops alone",
        PHYSICS + "hysteresis.py",
        "return np.where(self.magnetization_along_field[..., 0] < 0, -1.0, 1.0)",
        "return np.ones(self.magnetization_along_field.shape[:-1])",
        "tests/physics/test_hysteresis.py",
    ),
    # Events
    Mutation(
        "roots beyond the end of a segment",
        EVENTS + "prediction.py",
        "return root & ops.equal(trial.weakest_grain, state.next_grain) & ~beyond",
        "return root & ops.equal(trial.weakest_grain, state.next_grain)",
        "tests/physics/solver/test_events.py",
    ),
    Mutation(
        "states interpolated in the field, not in its root",
        EVENTS + "dense_output.py",
        "return np.where(np.isnan(u), field, u)",
        "return field",
        "tests/physics/solver/test_events.py",
    ),
    Mutation(
        "the search for the coercivity ends after one step",
        EVENTS + "reversal.py",
        "_MAX_ROUNDS = 20",
        "_MAX_ROUNDS = 1",
        "tests/physics/solver/test_events.py",
    ),
    Mutation(
        "states by events that did not relax are kept",
        SOLVER + "by_events.py",
        "loops.moments[~loops.converged] = np.nan",
        "pass",
        "tests/physics/solver/test_events.py",
    ),
    Mutation(
        "flips are predicted from damped changes",
        SOLVER + "relaxation.py",
        "return falling & certain & (iterations < magnet.patience)",
        "return falling & certain",
        "tests/physics/solver/test_relaxation.py",
    ),
    Mutation(
        "states that an arc lacks are given up",
        SOLVER + "by_events.py",
        "    if not len(of):\n",
        "    if True:\n",
        "tests/physics/solver/test_events.py tests/physics/test_simulation.py",
    ),
    # Operators
    Mutation(
        "a lattice always has its own field",
        FIELD + "lattice.py",
        "acts = np.ones(len(steps), bool) if self_field else steps.any(axis=1)",
        "acts = np.ones(len(steps), bool)",
        "tests/physics/field/test_lattice.py tests/physics/field/test_operators.py",
    ),
    Mutation(
        "the lattice's adjoint is its transpose",
        FIELD + "products.py",
        "kernel = xp.conj(self.kernel[planes, None])",
        "kernel = self.kernel[planes, None]",
        "tests/physics/field/test_products.py tests/layers/test_operators.py",
    ),
    Mutation(
        "the precorrection is added to near blocks",
        FIELD + "precorrected/near.py",
        "field += precorrection(",
        "field -= precorrection(",
        "tests/physics/field",
    ),
    Mutation(
        "half the reach of near blocks",
        FIELD + "precorrected/near.py",
        "kept = _any_within(mesh, piece_centres, target, piece, reach)",
        "kept = _any_within(mesh, piece_centres, target, piece, reach / 2)",
        "tests/physics/field",
    ),
    # Geometry, materials, textures
    Mutation(
        "easy axes uniform in their angle",
        MICROSTRUCTURE + "easy_axes.py",
        "cos = 1.0 - rng.random(shape) * (1.0 - np.cos(np.radians(cone)))",
        "cos = np.cos(rng.random(shape) * np.radians(cone))",
        "tests/physics/microstructure/test_easy_axes.py",
    ),
    Mutation(
        "contact on one side only",
        MICROSTRUCTURE + "contacts.py",
        "rows += [(i, f, j, area), (j, h, i, area)]",
        "rows += [(i, f, j, area)]",
        "tests/physics/microstructure/test_contacts.py",
    ),
    # Exchange between grains
    Mutation(
        "a thicker layer turned by a boundary",
        FIELD + "exchange.py",
        "_LAYER = 0.9",
        "_LAYER = 1.0",
        "tests/physics/field/test_exchange.py",
    ),
    Mutation(
        "a face covered in part coupled like one covered entirely",
        FIELD + "exchange.py",
        "in_series[0] * (contacts.area / areas)",
        "in_series[0]",
        "tests/physics/field/test_exchange.py",
    ),
    Mutation(
        "a boundary acts on the nearest particle, however far",
        FIELD + "exchange.py",
        "has = np.isnan(inset) | (nearest <= inset * (1 + _SAME))",
        "has = True",
        "tests/physics/field/test_exchange.py",
    ),
    Mutation(
        "exchange in the matrix multiplied by Js",
        FIELD + "exchange.py",
        "pairs.strength[0] / polarization[0, pairs.neighbor],",
        "pairs.strength[0],",
        "tests/physics/field/test_exchange.py",
    ),
    Mutation(
        "all exchange from the first neighbour of a column",
        SOLVER + "layout.py",
        "(slot[which.ravel()], row, column)",
        "(0 * which.ravel(), row, column)",
        "tests/physics/field/test_exchange.py",
    ),
    Mutation(
        "a checkpoint with exchange that does not know the stiffness",
        SOLVER + "by_steps.py",
        'constants += ("Ku", "A")',
        "pass",
        "tests/physics/field/test_exchange.py",
    ),
    Mutation(
        "exchange from the other side on a lattice",
        FIELD + "exchange.py",
        "steps = site[pairs.grain] - site[pairs.neighbor]",
        "steps = site[pairs.neighbor] - site[pairs.grain]",
        "tests/physics/field/test_exchange.py",
    ),
    # Thermal activation
    Mutation(
        "a barrier that does not depend on the angle",
        PHYSICS + "thermal.py",
        "n = 0.86 + 1.14 * _NODES",
        "n = 2.0 + 0 * _NODES",
        "tests/physics/test_thermal.py",
    ),
    Mutation(
        "a sweep without its effective time",
        PHYSICS + "thermal.py",
        "tau = change / (thermal.sweep_rate * np.maximum(x, 1e-3) ** (n - 1))",
        "tau = field / thermal.sweep_rate",
        "tests/physics/test_thermal.py",
    ),
    Mutation(
        "a nucleus larger than its grain",
        PHYSICS + "thermal.py",
        "np.minimum(4 / 3 * pi * radius**3, structure.volumes)",
        "4 / 3 * pi * radius**3 + 0 * structure.volumes",
        "tests/physics/test_thermal.py",
    ),
    Mutation(
        "the astroid shrunk once in place of squared",
        SOLVER + "relaxation.py",
        "return cubed / (left * left)",
        "return cubed / left",
        "tests/physics/test_thermal.py",
    ),
    Mutation(
        "the full gap on each side of a boundary",
        MICROSTRUCTURE + "voronoi/polycrystal.py",
        "offsets - gap / 2",
        "offsets - gap",
        "tests/physics/microstructure",
    ),
    Mutation(
        "active and passive orientations swapped",
        PHYSICS + "io/neper/orientations.py",
        'convention == ("active" if version == "3.5" else "passive")',
        'convention == ("passive" if version == "3.5" else "active")',
        "tests/physics/io/neper",
    ),
    Mutation(
        "a checkpoint of another material goes on",
        SOLVER + "by_steps.py",
        '"material": np.array(materials),',
        '"material": None,',
        "tests/physics/solver/test_checkpoint.py",
    ),
    # Layers, losses, metrics
    Mutation(
        "field at padding",
        "keras_micromag/layers/demag.py",
        "(0, 2, 3, 1)) * real",
        "(0, 2, 3, 1))",
        "tests/layers",
    ),
    Mutation(
        "the layer takes axes as they come",
        "keras_micromag/layers/hysteresis.py",
        "axes = axes / ops.sqrt(ops.sum(axes * axes, axis=1, keepdims=True))",
        "axes = axes * 1.0",
        "tests/layers",
    ),
    Mutation(
        "neighbours summed over the wrong axis",
        "keras_micromag/layers/grain_convolution.py",
        "total = ops.sum(neighbors, axis=-1, keepdims=True)",
        "total = ops.sum(neighbors, axis=-2, keepdims=True)",
        "tests/layers tests/models/test_grains.py",
    ),
    Mutation(
        "weights of Eq. 9 swapped",
        "keras_micromag/losses.py",
        "loss = self.mse_weight * squared_error(true, predicted, weights)",
        "loss = self.norm_weight * squared_error(true, predicted, weights)",
        "tests/test_losses.py",
    ),
    Mutation(
        "NaN in the gradient of a length at 0",
        "keras_micromag/losses.py",
        "length = ops.sqrt(ops.where(nonzero, square, ops.ones_like(square)))",
        "length = ops.sqrt(square)",
        "tests/test_losses.py",
    ),
    Mutation(
        "a rollout's loss is a mean over its steps",
        "keras_micromag/losses.py",
        "return loss * float(y_pred.shape[1])",
        "return loss",
        "tests/test_losses.py",
    ),
    Mutation(
        "a coercivity error that keeps its sign",
        "keras_micromag/metrics.py",
        "return ops.abs(true - predicted)",
        "return true - predicted",
        "tests/test_metrics.py",
    ),
    # Models and recipes
    Mutation(
        "a rollout that sees the field a step late",
        "keras_micromag/models/rollout.py",
        "field[:, i : i + 1], constants, training)",
        "field[:, max(i - 1, 0) : max(i - 1, 0) + 1], constants, training)",
        "tests/models/test_rollout.py",
    ),
    Mutation(
        "a decoder with a layer less",
        "keras_micromag/models/autoencoder.py",
        "for n in (latent_size, latent_size, *reversed(units[1:]), flat):",
        "for n in (latent_size, *reversed(units), flat):",
        "tests/models/test_autoencoder.py",
    ),
    Mutation(
        "the first principal components are the smallest",
        "keras_micromag/baselines.py",
        "np.linalg.eigh(covariance)[1][:, ::-1][:, :size]",
        "np.linalg.eigh(covariance)[1][:, :size]",
        "tests/test_baselines.py",
    ),
    Mutation(
        "trained on the validation's loops",
        "keras_micromag/data/samples.py",
        "return np.sort(order[:-held_out]), np.sort(order[-held_out:])",
        "return np.sort(order), np.sort(order[-held_out:])",
        "tests/data",
    ),
    # Data
    Mutation(
        "fields of a window one step early",
        "keras_micromag/data/windows.py",
        "coming = begin + np.arange(self.window, self.window + self.horizon)",
        "coming = begin + np.arange(self.window, self.window + self.horizon) - 1",
        "tests/data/test_windows.py",
    ),
    Mutation(
        "a mirror image without time reversal",
        "keras_micromag/data/samples.py",
        "np.array([-1, -1, 1], states.dtype)  # z -> -z",
        "np.array([1, 1, -1], states.dtype)  # z -> -z",
        "tests/data/test_samples.py",
    ),
    Mutation(
        "splits that share a magnet",
        "tfds_esw/config.py",
        "return range(first, first + self.splits[split])",
        "return range(first, first + self.splits[split] + 1)",
        "tests/tfds_esw",
    ),
    Mutation(
        "grains that never switch have a switching field of 0",
        "tfds_esw/simulations.py",
        '"switching_fields": _filled(loops.switching_fields, most, 1, np.nan),',
        '"switching_fields": _filled(loops.switching_fields, most, 1, 0.0),',
        "tests/tfds_esw/test_simulations.py",
    ),
    Mutation(
        "a builder's config ignores its tolerance",
        "tfds_esw/simulations.py",
        'names = ("field_direction", "method", "avalanche", "dtype", "tol", "max_iterations")',
        'names = ("field_direction", "method", "avalanche", "dtype", "max_iterations")',
        "tests/tfds_esw/test_simulations.py",
    ),
    # Files
    Mutation(
        "arrays are read without their checksums",
        "keras_micromag/utils/files.py",
        "_array(archive.read(name))",
        "np.load(archive.open(name), allow_pickle=False)",
        "tests/utils/test_files.py",
    ),
    Mutation(
        "a temporary file is removed while another process writes it",
        "keras_micromag/utils/files.py",
        "if idle and time.time() - max(os.stat(part).st_mtime for part in parts) <= idle:",
        "if False:",
        "tests/utils/test_files.py",
    ),
    Mutation(
        "the matrix has the whole own field on a nucleus",
        FIELD + "demag.py",
        "matrix[own, :, :, own, :] = without_nucleus(matrix[own, :, :, own, :])",
        "pass",
        "tests/physics/field/test_demag.py",
    ),
    Mutation(
        "a lattice has the whole own field on a nucleus",
        FIELD + "lattice.py",
        "spread[0, 0, 0] = without_nucleus(spread[0, 0, 0])",
        "pass",
        "tests/physics/field/test_lattice.py",
    ),
    Mutation(
        "near blocks have the whole own field on a nucleus",
        FIELD + "precorrected/near.py",
        "field[own] = without_nucleus(field[own])",
        "pass",
        "tests/physics/field/test_operators.py",
    ),
    Mutation(
        "what is left of a cancelled own field is rounding",
        FIELD + "demag.py",
        "return np.where(np.abs(rest) > _CANCELLED, rest, 0.0)",
        "return rest",
        "tests/physics/field/test_demag.py",
    ),
    Mutation(
        "all grains have the calibrated depth of the first",
        "keras_micromag/physics/microstructure/particles.py",
        "return [calibrated_depth(m) for m in materials], True",
        "return [calibrated_depth(materials[0])] * g, True",
        "tests/physics/microstructure/test_structure.py",
    ),
    Mutation(
        "in a thin grain all faces move as little as the nearest",
        "keras_micromag/physics/geometry/polyhedron.py",
        "np.minimum(depth, at_most * self.offsets)",
        "np.minimum(depth, at_most * self.offsets.min())",
        "tests/physics/microstructure/test_structure.py",
    ),
    # Command line
    Mutation(
        "--self-field is ignored",
        "keras_micromag/cli/simulate.py",
        "self_field=SELF_FIELD[options.self_field],",
        "self_field=False,",
        "tests/test_cli.py",
    ),
    Mutation(
        "--size in tenths of a nanometre",
        "keras_micromag/cli/structures.py",
        'lengths = {"size": options.size * 1e-9, "gap": options.gap * 1e-9}',
        'lengths = {"size": options.size * 1e-10, "gap": options.gap * 1e-9}',
        "tests/test_cli.py tests/test_cli_structures.py",
    ),
    # What backends do in their own way
    Mutation(
        "float64 products in float32 on PyTorch",
        "keras_micromag/utils/backend.py",
        "\n    return ops.einsum(subscripts, *arrays)",
        '\n    return ops.cast(ops.einsum(subscripts, *(ops.cast(a, "float32") for a in arrays)), '
        "ops.dtype(arrays[0]))",
        "tests/physics tests/layers",
        backend="torch",
    ),
    Mutation(
        "TensorFlow's adjoint is the product itself",
        "keras_micromag/utils/backend.py",
        "return tf.custom_gradient(lambda x: (function(x), linear(adjoint, function)))",
        "return tf.custom_gradient(lambda x: (function(x), lambda dy: 0.5 * adjoint(dy)))",
        "tests/physics tests/layers",
        backend="tensorflow",
    ),
]
