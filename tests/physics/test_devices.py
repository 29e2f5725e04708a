"""Checks for GPUs that need none: nothing in a graph is bound to the CPU.

Neither values nor speed: those need a card. On JAX a function is compiled as far as it goes without
one, to the operations of CUDA. On PyTorch it runs on "meta", the device of tensors without values,
and nothing may come from the CPU in between, as a constant would that was left there: Keras copies
it, in every call. TensorFlow's graphs hold constants where they are needed.
"""

import re
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from keras_micromag.layers import GuptasarmaDemag
from keras_micromag.physics import random_easy_axes, simulate
from keras_micromag.physics.solver import field_steps
from keras_micromag.physics.solver.events import continuation
from keras_micromag.utils.backend import tensors
from tests.keras_parts import numpy
from tests.physics.field.magnets import made, magnet

BACKEND = keras.backend.backend()

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow has no such check"),
]

MAGNETS = {"dense": "few grains", "lattice": "few cubes", "hierarchical": "few grains"}
kinds = pytest.mark.parametrize("kind", MAGNETS)


def on_host(tree):
    return keras.tree.map_structure(lambda x: numpy(x) if ops.is_tensor(x) else x, tree)


def assert_fit_for_a_gpu(function, *trees):
    """Compile it, or run it, for another device than the CPU; with arguments as on the CPU."""
    if BACKEND == "jax":
        import jax
        from jax import export

        exported = export.export(jax.jit(function), platforms=["cuda"])(*on_host(trees))
        assert exported.platforms == ("cuda",)
        products = re.findall("stablehlo.dot_general .*", exported.mlir_module())
        assert [product for product in products if "[HIGHEST, HIGHEST]" not in product] == []
        return
    with keras.device("meta:0"):
        arguments = tensors(on_host(trees), "float32")
        with no_copies():
            result = function(*arguments)
    assert {x.device.type for x in keras.tree.flatten(result)} == {"meta"}


def no_copies():
    """A context in which no operation of PyTorch takes a tensor on the CPU, but for numbers."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class NoCopies(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, arguments=(), options=None):
            given = [x for x in keras.tree.flatten(arguments) if isinstance(x, torch.Tensor)]
            shapes = [tuple(x.shape) for x in given if x.device.type == "cpu" and x.dim()]
            assert not shapes, f"{operation} takes {shapes} from the CPU"
            return operation(*arguments, **(options or {}))

    return NoCopies()


@kinds
@pytest.mark.parametrize("way", ["field", "adjoint"])
def test_products(kind, way):
    product = made(MAGNETS[kind], kind, dtype="float32").product
    n = product.places if way == "adjoint" else len(magnet(MAGNETS[kind]))
    given = np.ones((2, 3, n), "float32")
    assert_fit_for_a_gpu(lambda product, x: getattr(product, way)(x), product, given)


@pytest.mark.contract
@kinds
def test_layers(kind):
    structure = magnet(MAGNETS[kind])
    layer = GuptasarmaDemag(structure, operator=kind)
    given = np.ones((2, len(structure), 3), "float32")
    if BACKEND == "torch":
        with keras.device("meta:0"):
            layer(given)  # which brings the operator there, once
    assert_fit_for_a_gpu(layer, given)


class Called(Exception):
    """With the arguments."""


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize("method", ["steps", "events"])
def test_loops(method, monkeypatch):
    def called(*arguments):
        raise Called(*arguments)

    module = {"steps": field_steps, "events": continuation}[method]

    # PyTorch runs the loop itself on the host, which reads there when it ends.
    def iterate(*constants_and_state, avalanche):
        *constants, state = constants_and_state
        return module._iterate(state, *constants, avalanche)

    once = {"jax": module.advance, "torch": iterate}[BACKEND]
    monkeypatch.setattr(module, "advance", called)
    structure = magnet("few grains")
    axes, options = random_easy_axes(len(structure), seed=1), {"operator": "hierarchical"}
    with pytest.raises(Called) as call:
        simulate(structure, axes, field=[8.0, -8.0], method=method, progress=False, **options)
    *trees, avalanche = call.value.args
    assert_fit_for_a_gpu(partial(once, avalanche=avalanche), *trees)


@pytest.mark.skipif(BACKEND != "torch", reason="of the check on PyTorch")
def test_a_tensor_left_on_the_cpu_raises():
    left = np.ones((1, 3), "float32")
    with pytest.raises(AssertionError, match=re.escape("takes [(1, 3)] from the CPU")):
        assert_fit_for_a_gpu(lambda x: ops.einsum("bi,bi->b", x, left), np.ones((1, 3), "float32"))
