"""Dense output of the continuation: states at any field, interpolated between computed ones.

The solution curve of a magnet falls into arcs, from one avalanche to the next. Along an arc the
state is a function of the field alone, smooth but at the arc's end: where the next grain becomes
unstable (a fold), the moments go as the square root of the distance in field. So states are
interpolated in that root, by polynomials through eight computed states, the nodes. The polynomial
through seven of them gives an error estimate; where it disagrees, the state is computed and becomes
a node.
"""

import numpy as np
from scipy import sparse

_POINTS = 8
"""Nodes of an interpolating polynomial, where an arc has as many."""

_SAME = 1e-7
"""Distance of two coordinates up to which they count as one."""


_MAX_WEIGHTS = 1e6
"""Sum of a stencil's absolute weights, beyond which it has no digits in float32."""


class DenseOutput:
    """Interpolates the states of n arcs between nodes, sorted by arc and by a coordinate u.

    Args:
        root: (n,) field in tesla of the root that ends each arc; nan where none does.
    """

    def __init__(self, root: np.ndarray):
        self.root = root
        self.arc, self.u = np.zeros(0, int), np.zeros(0)
        self.moments, self.edge = np.zeros((0, 3, 0)), np.zeros(0, bool)

    def coordinate(self, arc: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return the coordinate u in which states are smooth: √|root - field|, or the field."""
        u = np.sqrt(np.abs(self.root[arc] - field))
        return np.where(np.isnan(u), field, u)

    def add(
        self,
        arc: np.ndarray,
        u: np.ndarray,
        moments: np.ndarray,
        edge: np.ndarray | bool = False,
    ) -> None:
        """Add n nodes; where there is one already, it stays.

        Args:
            arc: (n,).
            u: (n,) coordinates.
            moments: (n, 3, g).
            edge: (n,) whether a grain may become unstable just behind the node.
        """
        edge = np.concatenate([self.edge, np.broadcast_to(edge, arc.shape)])
        arc = np.concatenate([self.arc, arc])
        u = np.concatenate([self.u, u])
        nodes = np.concatenate([self.moments, moments]) if len(self.moments) else moments
        order = np.lexsort((u, arc))
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(arc[order]) > 0) | (np.diff(u[order]) > _SAME)
        order = order[new]
        self.arc, self.u = arc[order], u[order]
        self.moments, self.edge = nodes[order], edge[order]

    def locate(self, arc: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return (n,) the index of the first node that is not before each place."""
        reach = 1.0 + max(np.abs(self.u).max(), np.abs(u).max(initial=0.0))
        return np.searchsorted(self.arc * 4 * reach + self.u, arc * 4 * reach + u - _SAME)

    def contains(self, arc: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return (n,) whether there is a node at each place."""
        at = np.minimum(self.locate(arc, u), len(self.u) - 1)
        return (self.arc[at] == arc) & (np.abs(self.u[at] - u) < _SAME)

    def interpolate(self, arc: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return (n, 3, g) the states at `field` (n,) on arcs (n,); not normalised."""
        index, weights, _ = self.stencils(arc, self.coordinate(arc, field))
        return self.combine(index, weights)

    def error(self, arc: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return (n,) the estimated error of a moment's component, see `stencils`."""
        index, _, weights = self.stencils(arc, u)
        return np.abs(self.combine(index, weights)).max(axis=(1, 2))

    def stencils(self, arc: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the stencils of n places for `combine`: nodes, weights, weights of the error.

        The error is the difference from the polynomial through all nodes but one: the furthest,
        or, beside an edge, the node there, which alone depends on a grain that becomes unstable
        behind it, and which at a root is the least accurate. Where an arc has fewer than three
        nodes, the error is nan, but at a node itself. Where the weights are so large that rounding
        is all that they leave, the nearest node serves, and the error is nan.

        Returns:
            Index (n, 8) of the nodes, weights (n, 8), and weights of the error (n, 8); a stencil
            of fewer nodes has weights of 0.
        """
        first = np.searchsorted(self.arc, arc)
        count = np.searchsorted(self.arc, arc, side="right") - first
        width = np.minimum(count, _POINTS)
        next_node = self.locate(arc, u)
        begin = np.clip(next_node - _POINTS // 2, first, first + count - width)
        index = begin[:, None] + np.arange(_POINTS)
        used = np.arange(_POINTS) < width[:, None]
        index = np.where(used, index, begin[:, None])
        nodes = self.u[index]
        distance = np.where(used, np.abs(nodes - u[:, None]), -1.0)
        left_out = distance.argmax(axis=1)
        last = first + count - 1
        for neighbour in (np.minimum(next_node, last), np.maximum(next_node - 1, first)):
            left_out = np.where(self.edge[neighbour], neighbour - begin, left_out)
        others = used & (np.arange(_POINTS) != left_out[:, None])
        weights = _lagrange_weights(nodes, used, u)
        error = weights - _lagrange_weights(nodes, others, u)
        at_node = (np.abs(nodes - u[:, None]) < _SAME) & used
        error[(width < 3) & ~at_node.any(axis=1)] = np.nan
        useless = np.abs(weights).sum(axis=1) > _MAX_WEIGHTS
        nearest = np.where(used, np.abs(nodes - u[:, None]), np.inf).argmin(axis=1)
        weights[useless] = np.arange(_POINTS) == nearest[useless, None]
        error[useless] = np.nan
        return index, weights, error

    def combine(self, index: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return (n, 3, g) the sums of the nodes `index` (n, 8) with `weights` (n, 8)."""
        (n, k), (nodes, *shape) = index.shape, self.moments.shape
        weights = weights.astype(self.moments.dtype).ravel()
        sums = sparse.csr_array((weights, index.ravel(), np.arange(0, n * k + 1, k)), (n, nodes))
        return (sums @ self.moments.reshape(nodes, -1)).reshape(n, *shape)


def _lagrange_weights(nodes, used, u):
    """Return (n, k) the weights, at u (n,), of values at the `used` ones of the nodes (n, k)."""
    weights = np.where(used, 1.0, 0.0)
    for j in range(nodes.shape[1]):
        for i in range(nodes.shape[1]):
            if i != j:
                both = used[:, i] & used[:, j]
                spacing = np.where(both, nodes[:, j] - nodes[:, i], 1.0)
                weights[:, j] *= np.where(both, (u - nodes[:, i]) / spacing, 1.0)
    return weights
