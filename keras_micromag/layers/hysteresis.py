"""Algorithm 1 as a layer."""

from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag.layers.base import (
    PhysicsLayer,
    material_config,
    require_inputs,
    require_one_batch,
    require_shape,
    shapes_of,
)
from keras_micromag.physics.field import Kind, choose_operator
from keras_micromag.physics.field.exchange import checked_exchange
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.physics.solver import field_steps
from keras_micromag.physics.solver.problem import DEFAULT_TOL, embed, per_grain
from keras_micromag.physics.thermal import Thermal, checked_thermal, softening
from keras_micromag.utils import checks
from keras_micromag.utils.backend import Constants, compiled, tensors


@keras.saving.register_keras_serializable(package="keras_micromag")
class EmbeddedStonerWohlfarth(PhysicsLayer):
    """Computes hysteresis by the embedded Stoner-Wohlfarth method (Algorithm 1), as one graph.

    The same solver as `simulate`; what that raises, this marks as NaN, since a graph cannot raise.

    Args:
        structure: g grains with their particles, which are placed here as in `simulate`.
        material: one for all grains, or a sequence of g; `Material.at` gives it at a temperature.
        field_direction, self_field, exchange, thermal, avalanche, tol, max_iterations: see
            `simulate`. Times are not drawn: `thermal.seed` must be None.
        operator, rtol: kind of `demag_operator`, and its error. While a hierarchical one is built,
            a terminal shows a bar.

    Input:
        A dict of `easy_axes` (b, g, 3), normalised here, and `field` (b, t), µ0·H in tesla along
        `field_direction`. Every grain starts on the branch towards its first field.

    Output:
        (b, t, g, 3) unit moments. NaN at a field without an equilibrium within `max_iterations`,
        and at all fields of a magnet with an axis or a field that is not finite.

    Raises:
        ValueError: as `simulate`; and when the shapes do not fit, or t is not known.

    Notes:
        It has no derivatives: switching has none. The result is held in memory three times;
        `simulate` collects it on the host step by step.

        A model with this layer exports to SavedModel, but not to ONNX, which has no operations for
        the loop: PyTorch raises, TensorFlow's converter logs them and writes a file that no
        runtime loads.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.layers import EmbeddedStonerWohlfarth
        >>> from keras_micromag.physics import cubic_grains, random_easy_axes
        >>> layer = EmbeddedStonerWohlfarth(cubic_grains((2, 1, 1)))
        >>> field = np.tile([8.0, 0.0, -8.0], (5, 1))
        >>> easy_axes = random_easy_axes((5, 2), seed=1)
        >>> tuple(layer({"easy_axes": easy_axes, "field": field}).shape)
        (5, 3, 2, 3)
    """

    def __init__(
        self,
        structure: Microstructure,
        material: Material | Sequence[Material] = ND2FE14B,
        *,
        field_direction: ArrayLike = (0.0, 0.0, 1.0),
        self_field: checks.SelfField = "nucleus",
        exchange: ArrayLike = 0.0,
        thermal: Thermal | dict | None = None,
        avalanche: Literal["weakest_first", "simultaneous"] = "weakest_first",
        tol: float | None = None,
        max_iterations: int = 5000,
        operator: Kind = "auto",
        rtol: float = 1e-4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.trainable = False
        checks.one_of(avalanche, "avalanche", ("simultaneous", "weakest_first"))
        direction = checks.unit_vectors(field_direction, "field_direction", (3,))
        tol = DEFAULT_TOL[self.variable_dtype] if tol is None else tol
        structure = checks.instance(structure, "structure", Microstructure)
        self.self_field = self_field = checks.self_field(self_field)
        self.material = material
        self.avalanche = avalanche
        self.max_iterations = checks.count(
            max_iterations, "max_iterations", most=checks.MOST_ITERATIONS
        )
        self.tol = checks.number(tol, "tol", above=0)
        self.field_direction = direction.tolist()
        self.operator, self.rtol = checks.instance(operator, "operator", str), rtol
        materials = [per_grain(material, len(structure), self_field)]
        self.structure = structure = structure.calibrated_for(material)
        chosen = choose_operator(operator, structure, self_field, self.variable_dtype, rtol)
        coupling = checked_exchange(exchange, len(structure))
        self.exchange = coupling.tolist()
        thermal = Thermal.from_config(thermal) if isinstance(thermal, dict) else thermal
        self.thermal = checked_thermal(thermal)
        if self.thermal is not None and self.thermal.seed is not None:
            raise ValueError(
                "`thermal` must have no seed in a layer, whose magnets share their grains; "
                f"received seed={self.thermal.seed}."
            )
        softened = softening(self.thermal, structure, materials, 1)
        body = embed(chosen, materials, direction, coupling, softened)
        self._body = Constants(body, self.variable_dtype)
        self._loop = compiled(self._solve)

    def build(self, input_shape):
        """Check that the shapes fit."""
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        """Return the states."""
        self.compute_output_shape(shapes_of(inputs))
        axes, field = (
            ops.stop_gradient(self.real(inputs[name])) for name in ("easy_axes", "field")
        )
        return self.result(self._loop(axes, field))

    def _solve(self, axes, field):
        axes = ops.transpose(axes, (0, 2, 1))
        axes = axes / ops.sqrt(ops.sum(axes * axes, axis=1, keepdims=True))
        one = ops.ones_like(axes[:, 0])
        direction = np.array(self.field_direction, self.variable_dtype)
        along = ops.sum(axes * ops.convert_to_tensor(direction)[:, None], axis=1)
        towards = ops.where(field[:, :1] >= 0, one, -one)
        branch = ops.where(towards * along >= 0, one, -one)
        magnet = field_steps.magnet(
            self._body.tensors(), axes, field, self.tol, self.max_iterations
        )
        magnet = tensors(magnet, self.variable_dtype)
        moments = field_steps.whole_loop(magnet, branch, self.avalanche)
        return ops.transpose(moments, (0, 1, 3, 2))

    def compute_output_shape(self, input_shape):
        """Return (b, t, g, 3)."""
        g = len(self.structure)
        axes, field = map(tuple, require_inputs(input_shape, "easy_axes", "field"))
        if len(axes) != 3:
            raise ValueError(f"`easy_axes` must have shape (b, g, 3); received {axes}.")
        require_shape(axes, "easy_axes", (None, g, 3), f" with g = {g}")
        if len(field) != 2 or not field[1]:
            raise ValueError(
                f"`field` must have shape (b, t) with a known t of at least 1; received {field}."
            )
        require_one_batch(easy_axes=axes, field=field)
        return (axes[0], field[1], g, 3)

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "structure": self.structure.get_config(),
            "material": material_config(self.material),
            "field_direction": self.field_direction,
            "self_field": self.self_field,
            "exchange": self.exchange,
            "thermal": None if self.thermal is None else self.thermal.get_config(),
            "avalanche": self.avalanche,
            "tol": self.tol,
            "max_iterations": self.max_iterations,
            "operator": self.operator,
            "rtol": self.rtol,
        }
