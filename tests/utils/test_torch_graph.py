"""Graphs that PyTorch traces: the same results, one graph per shape, few kept."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_micromag.utils import backend, torch_graph

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="graphs of PyTorch"),
]


def tensor(*values, dtype="float32"):
    return ops.convert_to_tensor(np.array(values, dtype))


def norm_and_scaled(vectors, scale, name):
    x, y = vectors
    again = ops.sqrt(ops.sum(x * x)) + ops.sqrt(ops.sum(x * x))
    return {"norm": again + y * 0.1, name: (x * scale + ops.zeros_like(x), [y])}


def test_a_graph_equals_its_function():
    arguments = ((tensor(3.0, 4.0), tensor(1.0)), tensor(2.0), "scaled")
    graphs = torch_graph.Graphs()
    for _ in range(2):
        traced = graphs.run(norm_and_scaled, *arguments)
        for one, same in zip(
            keras.tree.flatten(traced),
            keras.tree.flatten(norm_and_scaled(*arguments)),
            strict=True,
        ):
            np.testing.assert_array_equal(one, same)
    assert list(traced) == ["norm", "scaled"] and len(graphs) == 1


def test_there_is_a_graph_for_each_shape_dtype_and_setting():
    graphs = torch_graph.Graphs()
    for x in (tensor(3.0, 4.0), tensor(3.0), tensor(3.0, dtype="float64")):
        for name in "ab":
            for _ in range(2):
                traced = graphs.run(norm_and_scaled, (x, x), x, name)
                np.testing.assert_array_equal(traced[name][0], x * x)
    assert len(graphs) == 6


def test_few_graphs_are_kept(monkeypatch):
    monkeypatch.setattr(torch_graph, "_CAPACITY", 2)
    graphs = torch_graph.Graphs()
    for n in (1, 2, 3, 1):
        x = ops.ones(n)
        np.testing.assert_array_equal(graphs.run(lambda x: x + x, x), x + x)
        assert len(graphs) <= 2


def test_a_tensor_given_twice_is_two_arguments():
    graphs, x, y = torch_graph.Graphs(), tensor(1.0), tensor(5.0)
    assert float(graphs.run(ops.subtract, x, x)) == 0
    assert float(graphs.run(ops.subtract, y, x)) == 4
    assert len(graphs) == 1


def test_operations_on_constants_alone_run_once():
    def function(scale, x):
        return ops.exp(scale) * x + ops.zeros_like(x)

    scale, x = tensor(2.0, 3.0), tensor(0.5, 0.25)
    graph = torch_graph.Graphs().of(function, (scale, x), constants=1)
    prepared = graph.prepare(scale)
    np.testing.assert_array_equal(graph.compute(*prepared, x)[0], function(scale, x))
    names = [node.name for node in graph.compute.__self__.graph.nodes if "call" in node.op]
    assert names == ["mul", "add"]


def test_numbers_keep_the_dtype_of_the_array():
    def function(real, count, flag):
        return [
            real * 0.1 - 3,
            1 - real,
            count + 7,
            count * 0.5,
            flag + 1,
            real < 1,
            ops.where(count >= 3, 2.0 / real, real),
        ]

    for real in (tensor(0.3, 4.0), tensor(0.3, 4.0, dtype="float64"), tensor(0.3)[0]):
        arguments = real, tensor(2, 3, dtype="int32"), tensor(True, False, dtype="bool")
        for traced, same in zip(
            torch_graph.Graphs().run(function, *arguments), function(*arguments), strict=True
        ):
            assert traced.dtype == same.dtype
            np.testing.assert_array_equal(traced, same)


def test_views_of_views_are_one():
    def function(x):
        return [
            x[:, None, None] + ops.transpose(x[:, None])[None],
            ops.transpose(ops.reshape(x, (2, 3))),
            ops.reshape(ops.transpose(ops.reshape(x, (2, 3))), (6, 1))[:, 0],
            ops.reshape(x[:1], ()),
        ]

    x = ops.arange(6, dtype="float32")
    for traced, same in zip(torch_graph.Graphs().run(function, x), function(x), strict=True):
        np.testing.assert_array_equal(traced, same)


def test_arrays_that_are_written_on_are_not_shared():
    def function(x):
        first, second = ops.zeros_like(x), ops.zeros_like(x)
        first[0].add_(x[0])
        return first, second.add_(1), ops.zeros_like(x)

    graph = torch_graph.Graphs().of(function, (ops.ones(2),))
    for _ in range(2):
        written = graph.compute(*graph.prepare(), tensor(5.0, 6.0))
        np.testing.assert_array_equal(written, [[5, 0], [1, 1], [0, 0]])


def test_random_numbers_are_not_taken_for_one():
    import torch

    def difference(x):
        return torch.rand_like(x) - torch.rand_like(x)

    assert float(ops.max(ops.abs(torch_graph.Graphs().run(difference, ops.ones(9))))) > 0


def test_a_graph_has_the_gradient_of_the_function():
    slopes = []
    for run in (lambda f, *x: f(*x), torch_graph.Graphs().run):
        x = tensor(0.3, -0.2).requires_grad_()
        run(lambda x: ops.sum(ops.elu(x) * ops.stop_gradient(x)), x).backward()
        slopes.append(x.grad)
    np.testing.assert_array_equal(*slopes)


def below(i, rows, state, end):
    return i < end


def double(i, rows, state, end):
    return i + 1, backend.set_row(rows, i, state[0]), (state[0] * 2, state[0])


@pytest.mark.parametrize("end", [0, 1, 3])
def test_a_loop_runs_as_often_as_its_condition_holds(end):
    start = ops.ones(2)
    i, rows, (last, before) = backend.while_loop(
        below,
        double,
        (ops.convert_to_tensor(0, "int32"), ops.zeros((4, 2)), (start, start)),
        ops.convert_to_tensor(end, "int32"),
    )
    assert int(i) == end and float(last[0]) == 2**end
    assert float(before[0]) == 2 ** max(end - 1, 0)
    np.testing.assert_array_equal(rows[:, 0], [2.0**k * (k < end) for k in range(4)])


def test_the_result_of_a_loop_can_be_used_in_a_gradient():
    x = tensor(3.0, 4.0).requires_grad_()
    (last,) = backend.while_loop(
        lambda last: ops.sum(last) < 9, lambda last: (last * 2,), (ops.ones(2),)
    )
    ops.sum(last * x).backward()
    np.testing.assert_array_equal(x.grad, [8, 8])
    last += 1  # and be written on


def test_an_untraceable_function_raises_and_restores_the_threads():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError):
            backend.while_loop(
                lambda x: x < 9, lambda x: (x + 1 if x < 3 else x + 2,), (tensor(0.0)[0],)
            )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
