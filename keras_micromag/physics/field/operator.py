"""The demagnetising operator of a structure, by the kind of product that serves it best."""

import numpy as np

from keras_micromag.physics.field import dense, lattice
from keras_micromag.physics.field.precorrected import hierarchical
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks

KINDS = ("dense", "lattice", "hierarchical")

_SMALL = 2**29
"""Bytes of matrix up to which the dense product is taken, which is exact to rounding; at 0.8 GB the
hierarchical one takes a third of the time (`python -m benchmarks.large product`)."""


class DemagOperator:
    """Demagnetising fields at all particles from the moments of all grains (Eq. 5), as a product.

    Made by `demag_operator`.

    Attributes:
        structure: g grains with p particles each. self_field: whether their own field counts.
        kind: "dense", "lattice" or "hierarchical". dtype: of its arrays.
        rtol: asked for. error: root mean square of the error over that of the field, measured in
            saturated, random and partly reversed states at some particles, with room for the states
            and particles that were not; 0 for kinds that are exact to rounding.
        product: the arrays, a tuple with methods `field` and `adjoint`, see `products`.
        places: (g, p) int, where in the product's fields each particle is; padding is one of its
            grain's own.
    """

    def __init__(self, structure, self_field, kind, product, places, *, rtol=0.0, error=0.0):
        self.structure, self.self_field = structure, self_field
        self.kind, self.product, self.places = kind, product, places
        self.rtol, self.error = rtol, error

    @property
    def dtype(self) -> str:
        """float32 or float64."""
        return {4: "float32", 8: "float64"}[_real_part(self.product).itemsize]

    @property
    def nbytes(self) -> int:
        """Of the arrays that a product reads."""
        return sum(array.nbytes for array in arrays(self.product))

    def __call__(self, moments) -> np.ndarray:
        """Fields (…, g, p, 3), 0 at padding, of moments (…, g, 3), in units of each grain's Js.

        Raises:
            ValueError: for another shape, or what is not finite.
        """
        g, p = self.structure.weights.shape
        moments = checks.finite_array(moments, "moments", (..., g, 3), f"with g = {g}")
        lead = moments.shape[:-2]
        flat = np.swapaxes(moments.reshape(-1, g, 3), 1, 2).astype(self.dtype)
        field = self.product.field(flat)[..., self.places.ravel()]
        field = np.moveaxis(field.reshape(-1, 3, g, p), 1, 3)
        return (field * (self.structure.weights > 0)[..., None]).reshape(*lead, g, p, 3)

    def adjoint(self, fields) -> np.ndarray:
        """(…, g, 3) with Σ adjoint(f)·m = Σ f·operator(m), for f (…, g, p, 3); gradients need it.

        Raises:
            ValueError: for another shape, or what is not finite.
        """
        g, p = self.structure.weights.shape
        fields = checks.finite_array(fields, "fields", (..., g, p, 3), f"with g = {g}, p = {p}")
        lead = fields.shape[:-3]
        fields = np.moveaxis(fields.reshape(-1, g, p, 3), 3, 1)
        real = self.structure.weights > 0
        at = np.zeros((len(fields), 3, self.product.places), self.dtype)
        at[..., self.places[real]] = fields[..., real]
        return np.swapaxes(self.product.adjoint(at), 1, 2).reshape(*lead, g, 3)


def demag_operator(
    structure: Microstructure,
    kind: str = "auto",
    *,
    rtol: float = 1e-4,
    dtype: str = "float32",
    self_field: bool = False,
    progress: bool | None = None,
) -> DemagOperator:
    """The demagnetising operator of a structure, for products that are taken often.

    Args:
        structure: g grains with their particles.
        kind: "dense" holds the matrix; "lattice" convolves over equal grains on a regular lattice,
            exact to rounding; "hierarchical" holds what grains see of near ones and carries the
            rest over a mesh, within `rtol`. "auto" takes dense where the matrix is small, else
            lattice where that serves, else hierarchical.
        rtol: of "hierarchical": root mean square of its error over that of the field, measured
            when it is made. At least 5e-6 in float32 and 5e-7 in float64.
        dtype: "float32" or "float64" of its arrays.
        self_field: whether a grain's own field acts on its particles.
        progress: whether to show a bar where it takes long, as "hierarchical" does; by default on a
            terminal.

    Raises:
        ValueError: for an `rtol` that the kind or the dtype cannot give, a structure that the kind
            cannot serve, and for a particle on an edge of a grain whose field acts on it.
        MemoryError: before it takes more memory than there is; it names the size, and what fits.

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
    kind, rtol = _kind(kind, "kind", structure, dtype), check_rtol(rtol, dtype)
    error = 0.0
    if kind == "dense":
        product, places = dense.dense(structure, self_field, dtype)
    elif kind == "lattice":
        product, places = lattice.lattice(structure, self_field, dtype)
    else:
        product, places, error = hierarchical.hierarchical(
            structure, self_field, dtype, rtol, progress
        )
    return DemagOperator(structure, self_field, kind, product, places, rtol=rtol, error=error)


def check_operator(
    operator,
    structure: Microstructure,
    self_field: bool,
    dtype: str,
    rtol: float,
    progress: bool | None = None,
):
    """The `DemagOperator` to use; or just "dense", which the caller makes to its measure.

    Raises:
        ValueError: for one that was made for something else.
    """
    chosen = choose_operator(operator, structure, self_field, dtype, rtol)
    if chosen == "dense" or isinstance(chosen, DemagOperator):
        return chosen
    return demag_operator(
        structure, chosen, rtol=rtol, dtype=dtype, self_field=self_field, progress=progress
    )


def choose_operator(operator, structure: Microstructure, self_field: bool, dtype: str, rtol: float):
    """What `check_operator` uses, not made yet: a `DemagOperator` that fits, or a kind, not "auto".

    Raises:
        ValueError: as `check_operator`.
    """
    if isinstance(operator, DemagOperator):
        _refuse_other(operator, structure, self_field, dtype)
        chosen = operator
    else:
        chosen = _kind(operator, "operator", structure, dtype)
    check_rtol(rtol, dtype)
    return chosen


def operator_told(chosen, rtol: float) -> str:
    """What `choose_operator` chose, in words that differ where its fields do."""
    kind = chosen
    if isinstance(chosen, DemagOperator):
        kind, rtol = chosen.kind, chosen.rtol
        if kind == "dense":
            # One made to its user's measure may have more room, and the backend rounds otherwise.
            return "given dense"
    return f"{kind} within {float(rtol)!r}" if kind == "hierarchical" else kind


def _refuse_other(operator, structure, self_field, dtype):
    """Raise where an operator was made for something else."""
    for name, wanted in (("structure", structure), ("self_field", self_field), ("dtype", dtype)):
        made_for = getattr(operator, name)
        if made_for is not wanted and (name == "structure" or made_for != wanted):
            told = " another object" if name == "structure" else f" {made_for!r}, not {wanted!r}"
            raise ValueError(
                f"`operator` must be made for the same {name}; received one made for{told}."
            )


def _kind(kind, name, structure, dtype):
    """The kind to make, which can serve the structure."""
    checks.one_of(kind, name, ("auto", *KINDS))
    if kind == "lattice":
        try:
            lattice.sites(structure)
        except lattice.NoLatticeError as error:
            raise ValueError(
                f"`{name}` must be 'dense' or 'hierarchical' for a structure that is no lattice; "
                f"received 'lattice', but {error}."
            ) from None
    return _chosen(structure, dtype) if kind == "auto" else kind


def check_rtol(rtol, dtype: str) -> float:
    """Return `rtol`, which the dtype can give."""
    rtol = checks.number(rtol, "rtol", above=0)
    least = hierarchical.ROUNDING[dtype]
    if not least <= rtol < 1:
        raise ValueError(
            f"`rtol` must be at least {least:g} in {dtype}, and below 1; received {rtol:g}."
        )
    return rtol


def _chosen(structure, dtype):
    """The kind that serves a structure best."""
    if dense.size(structure, dtype) <= _SMALL:
        return "dense"
    try:
        lattice.sites(structure)
    except lattice.NoLatticeError:
        return "hierarchical"
    return "lattice"


def arrays(product):
    """All arrays of a product."""
    for part in product:
        if isinstance(part, tuple):
            yield from part
        else:
            yield part


def _real_part(product):
    return next(a.real for a in arrays(product) if a.dtype.kind in "fc")
