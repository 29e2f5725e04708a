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
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any, NamedTuple

from keras import ops

_CAPACITY = 32
"""Graphs that are kept: those used last."""

_LARGE = 2**18
"""Numbers in an array from which the threads of a loop are left as they are."""

_ARITHMETIC = {"add", "sub", "rsub", "mul", "div", "remainder", "lt", "le", "gt", "ge", "eq", "ne"}
"""Operations whose second operand may be a number."""

_VIEWS = {"view", "squeeze", "unsqueeze", "permute", "select"}
"""Operations that give an array another shape, or take a part of it."""

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
        graph = self.of(function, arguments)
        return _pack(graph.outputs, graph.compute(*graph.prepare(), *_tensors(arguments)))

    def of(self, function: Callable, arguments: tuple, constants: int = 0) -> "Graph":
        """Return the graph of a function.

        Args:
            constants: how many of the arguments' tensors, the first ones, stay the same over many
                calls.
        """
        import torch

        key = function, torch.is_grad_enabled(), constants, _signature(arguments)
        with self._lock:
            if key not in self._graphs:
                self._graphs[key] = _trace(function, arguments, constants)
            self._graphs.move_to_end(key)
            if len(self._graphs) > _CAPACITY:
                self._graphs.popitem(last=False)
            return self._graphs[key]


class Graph(NamedTuple):
    """The graph of a function, in two parts."""

    prepare: Callable  # of the constants: returns all that depends on them alone
    compute: Callable  # of what `prepare` returns, and of the other tensors
    outputs: Any  # the form of what `compute` returns as a list


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
        # As lists from here on: trees take as long as ten operations.
        fixed, flat = _tensors(constants), _tensors(variables)
        graph = loops.of(_iteration, (condition, body, constants, variables), len(fixed))
        with torch.inference_mode():
            prepared = graph.prepare(*fixed)
            while more:
                more, *flat = graph.compute(*prepared, *flat)
        # Copies: others could not use a tensor of the inference mode in what they differentiate.
        return _pack(variables, [x.clone() if x.is_inference() else x for x in flat])


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


def _trace(function, arguments, constants):
    """Return the `Graph`."""
    from torch.fx import GraphModule
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
    _numbers_as_tensors(module)
    parts = _split(module.graph, constants), module.graph
    for part in parts:
        _call_directly(part)
    prepare, compute = (GraphModule(module, part).forward for part in parts)
    return Graph(prepare, compute, outputs)


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
    from torch.ops import aten

    fills = {aten.zeros_like.default: aten.zeros.default, aten.ones_like.default: aten.ones.default}
    first: dict = {}
    for node in list(graph.nodes):
        if not _is_function(node):
            continue
        value = node.meta["val"]
        if node.target in fills and value.is_contiguous():
            # They depend on a shape alone, which is known.
            node.target, node.args = fills[node.target], (list(value.shape),)
            node.kwargs = {"dtype": value.dtype, "device": value.device}
        if node.target._opname in _VIEWS:
            _merge_views(node)
        if node.target is aten.lift_fresh_copy.default:
            same = node.args[0]  # a constant, which no operation changes
        elif node.target is aten.view.default and node.args[0].meta["val"].shape == value.shape:
            same = node.args[0]
        else:
            same = first.setdefault((node.target, repr(node.args), repr(node.kwargs)), node)
        if same is not node:
            node.replace_all_uses_with(same)
            graph.erase_node(node)
    graph.eliminate_dead_code()


def _merge_views(node) -> None:
    """Make one view of this one and that before it, where the numbers stay in their order."""
    from torch.ops import aten

    source, value = node.args[0], node.meta["val"]
    before = source.meta["val"]
    if before.is_contiguous() and value.is_contiguous() and before.numel() == value.numel():
        source = source.args[0] if source.target is aten.view.default else source
        node.target, node.args, node.kwargs = aten.view.default, (source, list(value.shape)), {}


def _numbers_as_tensors(module) -> None:
    """Make constants of numbers, of which PyTorch otherwise makes a tensor in every call."""
    import torch

    graph = module.graph
    constants: dict = {}
    first = next(node for node in graph.nodes if node.op != "placeholder")
    for node in list(graph.nodes):
        if not _is_operation(node) or node.target._opname not in _ARITHMETIC:
            continue
        array, number, *rest = node.args
        if not isinstance(number, int | float):
            continue
        value = array.meta["val"]
        if torch.result_type(value, number) != value.dtype:
            continue
        key = repr(number), value.dtype
        if key not in constants:
            # On the CPU, from where every device takes a number.
            constant = torch.tensor(number, dtype=value.dtype, device="cpu")
            name = f"number_{len(constants)}"
            module.register_buffer(name, constant)
            with graph.inserting_before(first):
                constants[key] = graph.get_attr(name)
        node.target = node.target.overloadpacket.Tensor
        node.args = (array, constants[key], *rest)


def _split(graph, count: int):
    """Move what depends on the first `count` inputs alone to a graph of its own.

    Returns:
        That graph, a function of these inputs; `graph` takes what it returns in their place.
    """
    from torch import fx

    before = fx.Graph()
    copies: dict = {}
    inputs = graph.find_nodes(op="placeholder")
    for node in graph.nodes:
        known = node in inputs[:count] or node.op == "get_attr" or _is_function(node)
        if known and all(one in copies for one in node.all_input_nodes):
            copies[node] = before.node_copy(node, copies.__getitem__)
    returned = []
    for node, copy in copies.items():
        if any(user not in copies for user in node.users):
            returned.append(copy)
            with graph.inserting_before(inputs[count]):
                value = graph.placeholder(node.name)
            node.replace_all_uses_with(value, lambda user: user not in copies)
    before.output(returned)
    for node in reversed(copies):
        graph.erase_node(node)
    return before


def _call_directly(graph) -> None:
    """Call `torch.add` and so on: the same as `aten.add.Tensor`, in half the time."""
    import torch

    for node in graph.nodes:
        node.meta.clear()
        if not _is_operation(node):
            continue
        name = node.target._opname
        if name == "_to_copy" and node.kwargs.keys() == {"dtype"}:
            name = "to"
        function = getattr(torch, name, None)
        if isinstance(function, BuiltinFunctionType):
            node.target = function
        elif isinstance(getattr(torch.Tensor, name, None), MethodDescriptorType):
            node.op, node.target = "call_method", name
            if name == "view" and node.args[1]:
                node.args = (node.args[0], *node.args[1])  # which is faster than a list


def _is_function(node) -> bool:
    """Return whether a node's value depends on its inputs alone, and nothing writes on it."""
    import torch

    if not _is_operation(node):
        return False
    random = torch.Tag.nondeterministic_seeded in node.target.tags
    return not (random or node.target._schema.is_mutable or _is_written_on(node))


def _is_written_on(node) -> bool:
    """Return whether an operation writes on a node's value, or on a view of it."""
    return any(
        user.target._schema.is_mutable or (user.target.is_view and _is_written_on(user))
        for user in node.users
        if _is_operation(user) and user.args[0] is node
    )


def _is_operation(node) -> bool:
    import torch

    return isinstance(node.target, torch._ops.OpOverload)
