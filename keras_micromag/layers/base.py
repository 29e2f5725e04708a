"""The base of the physics layers: precision, checks of shapes, materials in a config."""

from collections.abc import Sequence

import keras
from keras import ops

from keras_micromag.physics.microstructure.material import Material
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks
from keras_micromag.utils.backend import require_dtype


class PhysicsLayer(checks.Configured, keras.layers.Layer):
    """A layer without weights that computes in the policy's variable dtype."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if self.variable_dtype not in ("float32", "float64"):
            raise ValueError(
                "`dtype` must be a policy whose variables are float32 or float64; "
                f"received {self.dtype_policy.name!r}."
            )
        require_dtype(self.variable_dtype)

    def real(self, value):
        """Return `value` in the dtype in which the layer computes."""
        return ops.cast(value, self.variable_dtype)

    def result(self, value):
        """Return `value` in the dtype of the layer's output."""
        return ops.cast(value, self.compute_dtype)

    @classmethod
    def from_config(cls, config):
        """Return a layer with the config that `get_config` returned."""
        from_configs = {"structure": Microstructure.from_config, "material": _material_of}
        objects = {name: f(config[name]) for name, f in from_configs.items() if name in config}
        return super().from_config({**config, **objects})


def at_least_float32(layer: keras.layers.Layer) -> str:
    """Return the variable dtype of a layer, or float32 where that is half precision.

    Half precision turns quantities in SI units, such as areas in m², to 0. A layer that divides
    them by their size does so in this dtype, and turns autocast off.
    """
    return keras.backend.result_type(layer.variable_dtype, "float32")


def material_config(material: Material | Sequence[Material]):
    """Return the config of a material, or those of one per grain, as JSON can hold them."""
    if isinstance(material, Material):
        return material.get_config()
    return [m.get_config() for m in material]


def _material_of(config):
    if isinstance(config, list | tuple):
        return [Material.from_config(one) for one in config]
    return Material.from_config(config)


def shapes_of(inputs):
    """Return the shapes of a dict of tensors; others are left for `require_inputs` to refuse."""
    if not isinstance(inputs, dict):
        return inputs
    return {name: tuple(value.shape) for name, value in inputs.items()}


def require_inputs(inputs, *names: str, argument: str = "inputs") -> list:
    """Return the entries `names` of a dict of tensors or of shapes; raise where one is missing."""
    if isinstance(inputs, dict) and not set(names) - set(inputs):
        return [inputs[name] for name in names]
    *most, last = (f"`{name}`" for name in names)
    received = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
    raise ValueError(
        f"`{argument}` must be a dict of {', '.join(most)} and {last}; received {received}."
    )


def require_one_batch(**shapes) -> None:
    """Raise where static shapes differ in their first axis."""
    # Not None, and no tensor, as a trace by PyTorch has it.
    sizes = {
        name: shape[0] for name, shape in shapes.items() if shape and isinstance(shape[0], int)
    }
    if len(set(sizes.values())) > 1:
        names = " and ".join(f"`{name}`" for name in sizes)
        listed = " and ".join(str(size) for size in sizes.values())
        raise ValueError(f"{names} must be of the same batch size b; received {listed}.")


def require_shape(
    shape, name: str, wanted: Sequence[int | None], meaning: str = "", more: bool = True
) -> None:
    """Raise where the trailing axes of a static shape are not `wanted`; None fits anything.

    Args:
        more: whether it may have more axes before those.
    """
    tail = tuple(shape)[max(len(shape) - len(wanted), 0) :] if more else tuple(shape)
    if not checks.compatible(tail, wanted):
        listed = ", ".join(str(w or "n") for w in wanted)
        listed = f"..., {listed}" if more else listed
        raise ValueError(f"`{name}` must have shape ({listed}){meaning}; received {tuple(shape)}.")
