"""The demagnetising field of grains as a layer (Eq. 4, 5)."""

from collections.abc import Sequence
from math import prod

import keras
import numpy as np
from keras import ops

from keras_micromag.layers.base import PhysicsLayer, material_config
from keras_micromag.physics.field import Kind, choose_operator
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.physics.solver.problem import per_grain
from keras_micromag.utils import checks, memory
from keras_micromag.utils.backend import Constants, einsum, linear


@keras.saving.register_keras_serializable(package="keras_micromag")
class GuptasarmaDemag(PhysicsLayer):
    """Computes the demagnetising field at all particles from the moments of all grains (Eq. 5).

    Args:
        structure: g grains with p particles each.
        self_field: False, True or "nucleus", see `demag_matrix`.
        material: one for all grains or a sequence of g; its polarisation Js sets the field's size,
            and its calibrated depth the particles' places where the structure leaves them open.
        operator, rtol: kind of `demag_operator`, and its error. While a hierarchical one is built,
            a terminal shows a bar.

    Input:
        Moments (b, g, 3), in units of Js; or on a lattice (b, x, y, z, 3) with x·y·z = g, grain
        (i, j, k) having the index (i·y + j)·z + k, as in `cubic_grains`.

    Output:
        (b, g, p, 3), or (b, x, y, z, p, 3), µ0·H in tesla. 0 at padding.

    Raises:
        ValueError: when the input's grains are not those of the structure.
        MemoryError: when the operator does not fit into memory.

    Notes:
        The operator is computed in float64 with the layer, rounded to float32 (or float64,
        if that is the dtype) and kept outside the weights: 4 MB for the paper's 64 grains of 27
        particles, 36·g²·p bytes for a dense one in general, and as much in every graph that holds
        the layer. A saved model holds the structure alone, 3 kB for each cube.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.layers import GuptasarmaDemag
        >>> from keras_micromag.physics import cubic_grains
        >>> layer = GuptasarmaDemag(cubic_grains((2, 2, 2)))
        >>> tuple(layer(np.ones((5, 8, 3))).shape)
        (5, 8, 27, 3)
    """

    def __init__(
        self,
        structure: Microstructure,
        self_field: checks.SelfField = "nucleus",
        *,
        material: Material | Sequence[Material] = ND2FE14B,
        operator: Kind = "auto",
        rtol: float = 1e-4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        structure = checks.instance(structure, "structure", Microstructure)
        self.self_field = self_field = checks.self_field(self_field)
        self.material = material
        self.operator, self.rtol = checks.instance(operator, "operator", str), rtol
        strength = np.array([m.Js for m in per_grain(material, len(structure), False)])
        self.structure = structure = structure.calibrated_for(material)
        chosen = choose_operator(operator, structure, self_field, self.variable_dtype, rtol)
        product, places, _ = chosen.build()
        real = (structure.weights[..., None] > 0).astype(float)
        self._dense = chosen.kind == "dense"
        if self._dense:
            parts = _in_output_order(product, places, strength, real)
        else:
            parts = product, places.ravel(), strength, real
        self._constants = Constants(parts, self.variable_dtype)

    def build(self, input_shape):
        """Check that the grains are those of the structure."""
        self.compute_output_shape(input_shape)

    def call(self, moments):
        """Return the field in tesla."""
        shape = self.compute_output_shape(moments.shape)
        sources = ops.reshape(self.real(moments), (-1, 3 * len(self.structure)))
        if self._dense:
            field = einsum(ops, "bs,st->bt", sources, self._constants.tensors())
        else:
            field = self._by_product(sources)
        return self.result(ops.reshape(field, (-1, *shape[1:])))

    def _by_product(self, sources):
        g, p = self.structure.weights.shape
        product, places, strength, real = self._constants.tensors()
        polarization = ops.swapaxes(ops.reshape(sources, (-1, g, 3)), 1, 2) * strength
        field = linear(product.field, product.adjoint)(polarization)
        field = ops.take(field, places, axis=2)
        return ops.transpose(ops.reshape(field, (-1, 3, g, p)), (0, 2, 3, 1)) * real

    def compute_output_shape(self, input_shape):
        """Return (b, ..., p, 3) for (b, ..., 3)."""
        g, p = self.structure.weights.shape
        lattice = tuple(input_shape)[1:-1]
        if (
            len(lattice) not in (1, 3)
            or input_shape[-1] != 3
            or None in lattice
            or prod(lattice) != g
        ):
            raise ValueError(
                f"`moments` must have shape (b, g, 3) or (b, x, y, z, 3) with g = x·y·z = {g}; "
                f"received {tuple(input_shape)}."
            )
        return (input_shape[0], *lattice, p, 3)

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "structure": self.structure.get_config(),
            "self_field": self.self_field,
            "material": material_config(self.material),
            "operator": self.operator,
            "rtol": self.rtol,
        }


def _in_output_order(product, places, strength, real):
    """Return a dense matrix in the order of the moments and of the output, which spares copies.

    Args:
        product: with the matrix. places: (g, p) of the particles.
        strength: (g,) Js. real: (g, p, 1), 0 at padding.

    Returns:
        (3g, 3gp), in tesla: rows (grain, component), columns (grain, particle, component).
    """
    g, p = places.shape
    ordered = memory.zeros((g, 3, g, p, 3), product.matrix.dtype)
    # By row: of all rows at once another copy would be held.
    for number, row in enumerate(product.matrix):
        component, grain = divmod(number, g)
        field = np.moveaxis(row.reshape(3, -1)[:, places], 0, 2)
        ordered[grain, component] = strength[grain] * real * field
    return ordered.reshape(3 * g, -1)
