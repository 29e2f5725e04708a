"""The Stoner-Wohlfarth particle as a layer (Eq. 1, 2)."""

import keras
from keras import ops

from keras_micromag.layers.base import (
    PhysicsLayer,
    material_config,
    require_inputs,
    require_one_batch,
    require_shape,
    shapes_of,
)
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.solver.stoner_wohlfarth import relaxed_moment
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class StonerWohlfarth(PhysicsLayer):
    """Computes equilibrium moments of particles on their branches, and whether these end (Eq. 2).

    Args:
        material: sets the anisotropy field.

    Input:
        A dict of `branch` (b, g), ±1; `easy_axes` (b, g, 3), unit vectors; and `field`, the total
        µ0·H in tesla at one particle per grain, (b, g, 3), or at p, (b, g, p, 3).

    Output:
        A dict of `moments`, like `field`, unit vectors, and `switches`, like `field` without its
        last axis, bool: whether h∥ < 0 and |h∥|^⅔ + h⊥^⅔ > 1. The moment is then that of the fold
        at which the branch ended.

    Raises:
        ValueError: when the shapes do not fit together.

    Notes:
        Differentiable with respect to field and easy axes by the implicit function theorem, exact
        at the equilibrium; the derivative grows without bound towards the fold, and is 0
        where the branch has ended.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.layers import StonerWohlfarth
        >>> z = np.array([[[0.0, 0.0, 1.0]]])
        >>> state = {"branch": np.ones((1, 1)), "easy_axes": z, "field": -8.0 * z}
        >>> bool(StonerWohlfarth()(state)["switches"][0, 0])
        True
    """

    def __init__(self, *, material: Material = ND2FE14B, **kwargs):
        super().__init__(**kwargs)
        self.material = checks.instance(material, "material", Material)

    def build(self, input_shape):
        """Check that the shapes fit together."""
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        """Return moments and switching decision."""
        self.compute_output_shape(shapes_of(inputs))
        branch, axes, field = (self.real(inputs[name]) for name in ("branch", "easy_axes", "field"))
        direction = branch[..., None] * axes
        if len(field.shape) == 4:
            direction = direction[:, :, None]
        reduced = field / ops.cast(self.material.anisotropy_field, self.variable_dtype)
        direction = direction + ops.zeros_like(field)
        moments, switches = relaxed_moment(reduced, direction)
        return {"moments": self.result(moments), "switches": switches}

    def compute_output_shape(self, input_shape):
        """Return the shapes of moments and decisions."""
        parts = require_inputs(input_shape, "branch", "easy_axes", "field")
        branch, axes, field = map(tuple, parts)
        require_shape(axes, "easy_axes", (None, None, 3), more=False)
        g = axes[1]
        require_shape(branch, "branch", (None, g), f" with g = {g}", more=False)
        wanted = (None, g, 3) if len(field) == 3 else (None, g, None, 3)
        require_shape(field, "field", wanted, f" with g = {g}", more=False)
        require_one_batch(branch=branch, easy_axes=axes, field=field)
        return {"moments": field, "switches": field[:-1]}

    def compute_output_spec(self, inputs):
        """Return moments in the compute dtype, and decisions as bool."""
        shapes = self.compute_output_shape(shapes_of(inputs))
        return {
            "moments": keras.KerasTensor(shapes["moments"], self.compute_dtype),
            "switches": keras.KerasTensor(shapes["switches"], "bool"),
        }

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "material": material_config(self.material)}
