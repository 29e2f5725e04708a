"""The demagnetising operator of a structure, of the kind that serves it best."""

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.field import dense, lattice
from keras_micromag.physics.field.precorrected import hierarchical
from keras_micromag.physics.field.products import Dense, Hierarchical, Lattice
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks

KINDS = ("dense", "lattice", "hierarchical")

_DENSE_BYTES = 2**29
"""Largest matrix for which "auto" chooses the dense kind, which is exact to rounding; at 0.8 GB the
hierarchical one takes a third of the time (`python -m benchmarks.large product`)."""


class DemagOperator:
    """Maps the moments of all grains to demagnetising fields at all particles (Eq. 5).

    Built by `demag_operator`.

    Attributes:
        structure: g grains with p particles each.
        self_field: whether a grain's own field acts on its particles.
        kind: "dense", "lattice" or "hierarchical".
        dtype: of its arrays.
        rtol: that was asked for.
        error: root mean square of the error over that of the field, measured in saturated, random
            and partly reversed states at some particles, with a margin for other states and
            particles; 0 for kinds that are exact to rounding.
        product: the arrays, a tuple with methods `field` and `adjoint`, see `products`.
        places: (g, p) int, the place of each particle on the last axis of the product's fields;
            padding has the place of one of its grain's particles.
    """

    def __init__(
        self,
        structure: Microstructure,
        self_field: bool,
        kind: str,
        product: Dense | Lattice | Hierarchical,
        places: np.ndarray,
        *,
        rtol: float = 0.0,
        error: float = 0.0,
    ):
        self.structure, self.self_field = structure, self_field
        self.kind, self.product, self.places = kind, product, places
        self.rtol, self.error = rtol, error

    @property
    def dtype(self) -> str:
        """Either "float32" or "float64"."""
        return {4: "float32", 8: "float64"}[_real_part(self.product).itemsize]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that a matvec reads."""
        return sum(array.nbytes for array in arrays(self.product))

    def __call__(self, moments: ArrayLike) -> np.ndarray:
        """Return the fields (…, g, p, 3) of moments (…, g, 3), in units of each grain's Js.

        They are 0 at padding.

        Raises:
            ValueError: for moments of another shape, or that are not finite.
        """
        g, p = self.structure.weights.shape
        moments = checks.finite_array(moments, "moments", (..., g, 3), f"with g = {g}")
        lead = moments.shape[:-2]
        flat = np.swapaxes(moments.reshape(-1, g, 3), 1, 2).astype(self.dtype)
        field = self.product.field(flat)[..., self.places.ravel()]
        field = np.moveaxis(field.reshape(-1, 3, g, p), 1, 3)
        return (field * (self.structure.weights > 0)[..., None]).reshape(*lead, g, p, 3)

    def adjoint(self, fields: ArrayLike) -> np.ndarray:
        """Apply the adjoint operator, which gradients need: (…, g, 3) from fields (…, g, p, 3).

        Σ adjoint(f)·m = Σ f·operator(m) for all f and m.

        Raises:
            ValueError: for fields of another shape, or that are not finite.
        """
        g, p = self.structure.weights.shape
        fields = checks.finite_array(fields, "fields", (..., g, p, 3), f"with g = {g}, p = {p}")
        lead = fields.shape[:-3]
        fields = np.moveaxis(fields.reshape(-1, g, p, 3), 3, 1)
        real = self.structure.weights > 0
        at_places = np.zeros((len(fields), 3, self.product.places), self.dtype)
        at_places[..., self.places[real]] = fields[..., real]
        return np.swapaxes(self.product.adjoint(at_places), 1, 2).reshape(*lead, g, 3)


def demag_operator(
    structure: Microstructure,
    kind: str = "auto",
    *,
    rtol: float = 1e-4,
    dtype: str = "float32",
    self_field: bool = False,
    progress: bool | None = None,
) -> DemagOperator:
    """Build the demagnetising operator of a structure, for many matvecs.

    Args:
        structure: g grains with their particles.
        kind: "dense" holds the matrix. "lattice" convolves over equal grains on a regular lattice,
            exact to rounding. "hierarchical" is a precorrected FFT: it holds the blocks of near
            grains, and computes the rest on a mesh, within `rtol`. "auto" chooses dense where the
            matrix is small, else lattice where the grains lie on one, else hierarchical.
        rtol: of "hierarchical": root mean square of its error over that of the field, measured
            when it is built. At least 5e-6 in float32 and 5e-7 in float64.
        dtype: "float32" or "float64" of its arrays.
        self_field: whether a grain's own field acts on its particles.
        progress: whether to show a bar where it takes long, as "hierarchical" does; by default on a
            terminal.

    Raises:
        ValueError: for an `rtol` that the kind or the dtype cannot give, a structure that the kind
            cannot serve, and for a particle on an edge of a grain whose field acts on it.
        MemoryError: before it takes more memory than is available; it names the size, and what
            would fit.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.physics import cubic_grains, demag_operator
        >>> operator = demag_operator(cubic_grains((6, 5, 4)), "lattice")
        >>> operator(np.ones((120, 3))).shape
        (120, 27, 3)
    """
    checks.instance(structure, "structure", Microstructure)
    checks.one_of(dtype, "dtype", ("float32", "float64"))
    self_field = checks.flag(self_field, "self_field")
    kind, rtol = _choose_kind(kind, "kind", structure, dtype), check_rtol(rtol, dtype)
    error = 0.0
    if kind == "dense":
        product, places = dense.dense_product(structure, self_field, dtype)
    elif kind == "lattice":
        product, places = lattice.lattice_product(structure, self_field, dtype)
    else:
        product, places, error = hierarchical.hierarchical_product(
            structure, self_field, dtype, rtol, progress
        )
    return DemagOperator(structure, self_field, kind, product, places, rtol=rtol, error=error)


def choose_operator(
    operator: str | DemagOperator,
    structure: Microstructure,
    self_field: bool,
    dtype: str,
    rtol: float,
) -> str | DemagOperator:
    """Check the `operator` argument of a simulation or a layer, and choose a kind for "auto".

    Nothing is built yet.

    Args:
        operator: a kind of `demag_operator`, or an operator that it returned.
        structure: that it shall serve. self_field, dtype, rtol: see `demag_operator`.

    Returns:
        The operator where one was passed, else "dense", "lattice" or "hierarchical".

    Raises:
        ValueError: for an operator that was built for something else, and as `demag_operator`.
    """
    if isinstance(operator, DemagOperator):
        _check_built_for(operator, structure, self_field, dtype)
        chosen = operator
    else:
        chosen = _choose_kind(operator, "operator", structure, dtype)
    check_rtol(rtol, dtype)
    return chosen


def resolve_operator(
    operator: str | DemagOperator,
    structure: Microstructure,
    self_field: bool,
    dtype: str,
    rtol: float,
    progress: bool | None = None,
) -> str | DemagOperator:
    """Choose an operator as `choose_operator` does, and build it unless it is dense.

    Returns:
        The operator; or "dense", since the caller builds the dense matrix in its own layout.

    Raises:
        ValueError: for an operator that was built for something else, and as `demag_operator`.
        MemoryError: as `demag_operator`.
    """
    chosen = choose_operator(operator, structure, self_field, dtype, rtol)
    if chosen == "dense" or isinstance(chosen, DemagOperator):
        return chosen
    return demag_operator(
        structure, chosen, rtol=rtol, dtype=dtype, self_field=self_field, progress=progress
    )


def describe_operator(chosen: str | DemagOperator, rtol: float) -> str:
    """Describe an operator of `choose_operator`, so that those of different fields differ.

    Checkpoints hold the description.
    """
    if isinstance(chosen, DemagOperator):
        kind, rtol = chosen.kind, chosen.rtol
        if kind == "dense":
            # One that the solver builds may have more padding, and the backend rounds otherwise.
            return "given dense"
    else:
        kind = chosen
    return f"{kind} within {float(rtol)!r}" if kind == "hierarchical" else kind


def check_rtol(rtol: float, dtype: str) -> float:
    """Return `rtol` as a float.

    Raises:
        ValueError: where the dtype cannot give it.
    """
    rtol = checks.number(rtol, "rtol", above=0)
    least = hierarchical.ROUNDING[dtype]
    if not least <= rtol < 1:
        raise ValueError(
            f"`rtol` must be at least {least:g} in {dtype}, and below 1; received {rtol:g}."
        )
    return rtol


def _check_built_for(operator, structure, self_field, dtype):
    """Raise where an operator was built for something else."""
    for name, wanted in (("structure", structure), ("self_field", self_field), ("dtype", dtype)):
        actual = getattr(operator, name)
        if actual is not wanted and (name == "structure" or actual != wanted):
            other = " another object" if name == "structure" else f" {actual!r}, not {wanted!r}"
            raise ValueError(
                f"`operator` must be made for the same {name}; received one made for{other}."
            )


def _choose_kind(kind, name, structure, dtype):
    """Check a kind, which is the argument `name`, and choose one for "auto"."""
    checks.one_of(kind, name, ("auto", *KINDS))
    if kind == "lattice":
        try:
            lattice.sites(structure)
        except lattice.NoLatticeError as error:
            raise ValueError(
                f"`{name}` must be 'dense' or 'hierarchical' for a structure that is no lattice; "
                f"received 'lattice', but {error}."
            ) from None
    return _best_kind(structure, dtype) if kind == "auto" else kind


def _best_kind(structure, dtype):
    """Return the kind that serves a structure best."""
    if dense.matrix_nbytes(structure, dtype) <= _DENSE_BYTES:
        return "dense"
    try:
        lattice.sites(structure)
    except lattice.NoLatticeError:
        return "hierarchical"
    return "lattice"


def arrays(product: Dense | Lattice | Hierarchical):
    """Yield all arrays of a product."""
    for part in product:
        if isinstance(part, tuple):
            yield from part
        else:
            yield part


def _real_part(product):
    """Return the real part of the first array that is real or complex."""
    return next(a.real for a in arrays(product) if a.dtype.kind in "fc")
