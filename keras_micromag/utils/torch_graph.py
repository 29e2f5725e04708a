"""Graphs of PyTorch's own operations, traced from Keras code once per shape.

Keras checks and converts the arguments of each operation in Python, which on small arrays takes
PyTorch ten times as long as the arithmetic. A graph calls the same operations without that, so its
results are the same to the last bit. `torch.jit` would run it faster still, but is deprecated;
`torch.compile` needs a C++ compiler, and half a minute for a graph of the solver.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from types import BuiltinFunctionType
from typing import Any

from keras import ops

_CAPACITY = 32
"""Graphs that are kept: those used last."""

_LARGE = 2**18
"""Numbers in an array from which the threads of a loop are left as they are."""

_TENSOR = object()
"""Stands for a tensor in a tree."""


class Graphs:
    """The graphs of functions, of which the last used are kept."""

    def __init__(self):
        self._graphs: OrderedDict = OrderedDict()
        self._lock = RLock()

    def __len__(self):
        return len(self._graphs)

    def run(self, function: Callable, *arguments):
        """Return `function(*arguments)`, computed by its graph. It can be differentiated.

        Args:
            function: of trees of tensors and of hashable settings; returns a tree of tensors. It
                depends on nothing else, and has no side effect but on tensors that it does not
                read. Its graphs are kept by its identity.

        Notes:
            A graph is that of one shape, stride, dtype and device of each tensor, and of one value
            of each setting.
        """
        graph, outputs = self.of(function, arguments)
        return _pack(outputs, graph(*_tensors(arguments)))

    def of(self, function: Callable, arguments: tuple) -> tuple[Callable, Any]:
        """Return the graph, a function of the arguments' tensors, and the form of its outputs."""
        import torch

        key = function, torch.is_grad_enabled(), _signature(arguments)
        with self._lock:
            if key not in self._graphs:
                self._graphs[key] = _trace(function, arguments)
            self._graphs.move_to_end(key)
            if len(self._graphs) > _CAPACITY:
                self._graphs.popitem(last=False)
            return self._graphs[key]


loops = Graphs()
"""Those of `while_loop`."""


def may_trace() -> bool:
    """Return whether nobody else traces: within another trace operations are to be seen."""
    import torch

    compiler = torch.compiler
    return not (torch.jit.is_tracing() or compiler.is_compiling() or compiler.is_exporting())


def while_loop(condition: Callable, body: Callable, variables: tuple, *constants) -> tuple:
    """Run `variables = body(*variables, *constants)` while `condition` of the same holds.

    See `Graphs.run` for the functions and the constants.
    """
    import torch

    with torch.no_grad(), few_threads(variables):
        variables = _pack(variables, [tensor.contiguous() for tensor in _tensors(variables)])
        more = condition(*variables, *constants)
        if not more:
            return variables
        arguments = (condition, body, constants, variables)
        graph, _ = loops.of(_iteration, arguments)
        # As lists from here on: trees take as long as ten operations.
        fixed, flat = _tensors(constants), _tensors(variables)
        while more:
            more, *flat = graph(*fixed, *flat)
        return _pack(variables, flat)


@contextmanager
def few_threads(variables) -> Iterator[None]:
    """Compute small arrays with one thread: several spend more time waiting for one another.

    On a machine that does other work, too, they wait up to twenty times as long as they compute.
    """
    import torch

    threads = torch.get_num_threads()
    small = max(tensor.numel() for tensor in _tensors(variables)) < _LARGE
    try:
        if small:
            torch.set_num_threads(1)
        yield
    finally:
        if small:
            torch.set_num_threads(threads)


def _iteration(condition, body, constants, variables):
    """Return whether there is a next iteration, and the variables after this one."""
    variables = body(*variables, *constants)
    # As the graph takes them.
    variables = _pack(variables, [tensor.contiguous() for tensor in _tensors(variables)])
    return condition(*variables, *constants), variables


def _trace(function, arguments):
    """Return the graph, and the form of its outputs."""
    from torch.fx.experimental.proxy_tensor import make_fx

    outputs = None

    def flat(*tensors):
        nonlocal outputs
        result = function(*_pack(arguments, tensors))
        tensors = _tensors(result)
        outputs = _pack(result, [_TENSOR] * len(tensors))
        return tensors

    # Other objects for the same tensors: the trace tells its inputs apart by identity, and one that
    # is given twice now is not so in the next call.
    inputs = [x.detach().requires_grad_(x.requires_grad) for x in _tensors(arguments)]
    module = make_fx(flat)(*inputs)
    _simplify(module.graph)
    module.recompile()
    return module.forward, outputs


def _signature(argument) -> Any:
    """Return what a graph depends on."""
    if isinstance(argument, tuple | list):
        return type(argument), *map(_signature, argument)
    if isinstance(argument, dict):
        return tuple((name, _signature(argument[name])) for name in sorted(argument))
    if ops.is_tensor(argument):
        layout = argument.shape, argument.stride(), argument.dtype, argument.device
        return *layout, argument.requires_grad
    return type(argument), argument


def _tensors(tree) -> list:
    """Return the tensors of a tree. Keras's own functions for trees are slow on PyTorch."""
    if isinstance(tree, tuple | list):
        return [tensor for part in tree for tensor in _tensors(part)]
    if isinstance(tree, dict):
        return _tensors([tree[name] for name in sorted(tree)])
    return [tree] if ops.is_tensor(tree) or tree is _TENSOR else []


def _pack(tree, tensors):
    """Return the tree with these tensors in place of its own."""
    return _replaced(tree, iter(tensors))


def _replaced(tree, tensors):
    if isinstance(tree, tuple | list):
        parts = [_replaced(part, tensors) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {name: _replaced(tree[name], tensors) for name in sorted(tree)}
    return next(tensors) if ops.is_tensor(tree) or tree is _TENSOR else tree


def _simplify(graph) -> None:
    """Leave out operations that repeat another or that nothing depends on."""
    import torch
    from torch.ops import aten

    filled = (aten.zeros_like.default, aten.ones_like.default)
    first: dict = {}
    for node in list(graph.nodes):
        if not _is_function(node):
            continue
        if node.target is aten.lift_fresh_copy.default:
            same = node.args[0]  # a constant, which no operation changes
        else:
            value = node.meta["val"]
            inputs = (value.shape, value.dtype) if node.target in filled else node.args
            same = first.setdefault((node.target, repr(inputs), repr(node.kwargs)), node)
        if same is not node:
            node.replace_all_uses_with(same)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    for node in graph.nodes:
        node.meta.clear()
        if isinstance(node.target, torch._ops.OpOverload):
            # `torch.add` and so on call the same as `aten.add.Tensor`, in half the time.
            function = getattr(torch, node.target._opname, None)
            if isinstance(function, BuiltinFunctionType):
                node.target = function


def _is_function(node) -> bool:
    """Return whether a node computes the same from the same inputs, and does nothing else."""
    import torch

    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    random = torch.Tag.nondeterministic_seeded in node.target.tags
    return not (random or node.target._schema.is_mutable)
