"""The demagnetising operator of a structure, of a given kind or of the fastest."""

import os
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.field import dense, lattice, stored
from keras_micromag.physics.field.precorrected import hierarchical
from keras_micromag.physics.field.products import Arrays, Product, arrays_of
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks

Kind = Literal["auto", "dense", "lattice", "hierarchical"]

_DENSE_BYTES = 2**29
"""Largest matrix for which "auto" chooses the dense kind, which is exact to rounding; at 0.8 GB the
hierarchical one takes a third of the time (`python -m benchmarks.large product`)."""


@dataclass(eq=False, repr=False)
class DemagOperator:
    """Maps the moments of all grains to demagnetising fields at all particles (Eq. 5).

    One of `demag_operator` holds its arrays. One of `choose_operator` has none; they are built when
    they are needed, and not kept.

    Attributes:
        structure: g grains with p particles each.
        kind: "dense", "lattice" or "hierarchical".
        self_field: False, True or "nucleus", see `demag_matrix`.
        dtype: of its arrays, "float32" or "float64".
        rtol: that was asked for.
        arrays: that it holds, or None.
    """

    structure: Microstructure
    kind: str
    self_field: checks.SelfField
    dtype: str
    rtol: float
    arrays: Arrays | None = None

    def build(self, padded: tuple[int, int] | None = None, progress: bool | None = None) -> Arrays:
        """Return the arrays that the operator holds, or build them.

        Args:
            padded: (grains, particles) of the matrix, where `can_pad`; by default the structure's.
            progress: see `demag_operator`.

        Raises:
            ValueError, MemoryError: as `demag_operator`.
        """
        if self.arrays is not None:
            return self.arrays
        arguments = self.structure, self.self_field, self.dtype
        if self.kind == "dense":
            return Arrays(*dense.dense_product(*arguments, padded))
        if self.kind == "lattice":
            return Arrays(*lattice.lattice_product(*arguments))
        return Arrays(*hierarchical.hierarchical_product(*arguments, self.rtol, progress))

    def save(self, path: str | os.PathLike) -> None:
        """Write the operator to a file for `load`, completely or not at all.

        The file is NumPy's `.npz`, and slightly larger than `nbytes`. A file that exists is
        replaced.

        Args:
            path: of the file; no suffix is added.

        Raises:
            OSError: where it cannot be written.

        Example:
            >>> import tempfile
            >>> from keras_micromag.physics import DemagOperator, cubic_grains, demag_operator
            >>> magnet = cubic_grains((3, 3, 3))
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     demag_operator(magnet, "lattice").save(f"{folder}/operator.npz")
            ...     DemagOperator.load(f"{folder}/operator.npz", magnet).kind
            'lattice'
        """
        settings = {"kind": self.kind, "self_field": self.self_field, "rtol": self.rtol}
        stored.write(path, self.structure, self.build(), **settings)

    @classmethod
    def load(cls, path: str | os.PathLike, structure: Microstructure) -> "DemagOperator":
        """Read an operator that `save` wrote.

        Args:
            path: of the file.
            structure: that of the operator, or one that is equal to the last digit.

        Raises:
            OSError: where there is no such file.
            ValueError: for a file that holds something else, or is damaged; for another structure.
            MemoryError: before it takes more memory than is available.
        """
        return cls(structure, **stored.read(path, structure))

    @property
    def can_pad(self) -> bool:
        """Whether `build` can pad the arrays: those of a dense matrix that is not built yet."""
        return self.kind == "dense" and self.arrays is None

    @property
    def product(self) -> Product:
        """The arrays of a matvec, a tuple with methods `field` and `adjoint`, see `products`."""
        return self.build().product

    @property
    def places(self) -> np.ndarray:
        """The place (g, p) of each particle on the last axis of the product's fields, as int.

        Padding has the place of one of its grain's particles.
        """
        return self.build().places

    @property
    def error(self) -> float:
        """Root mean square of the error over that of the field; 0 where it is exact to rounding.

        It was measured in saturated, random and partly reversed states at some particles, and has a
        margin for other states and particles.
        """
        return self.build().error

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays that a matvec reads."""
        return sum(array.nbytes for array in arrays_of(self.product))

    @property
    def description(self) -> str:
        """A line that differs between operators of different fields; checkpoints hold it."""
        if self.kind == "hierarchical":
            return f"hierarchical within {self.rtol!r}"
        # Its padding may differ from that of a matrix built by the solver, and so may the rounding.
        return "given dense" if self.kind == "dense" and not self.can_pad else self.kind

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
    kind: Kind = "auto",
    *,
    rtol: float = 1e-4,
    dtype: Literal["float32", "float64"] = "float32",
    self_field: checks.SelfField = "nucleus",
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
        self_field: False, True or "nucleus", see `demag_matrix`.
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
    self_field = checks.self_field(self_field)
    kind = _choose_kind(kind, "kind", structure, dtype)
    operator = DemagOperator(structure, kind, self_field, dtype, _check_rtol(rtol, dtype))
    operator.arrays = operator.build(progress=progress)
    return operator


def choose_operator(
    operator: Kind | DemagOperator,
    structure: Microstructure,
    self_field: checks.SelfField,
    dtype: str,
    rtol: float,
) -> DemagOperator:
    """Return the operator that the `operator` argument of a simulation or a layer means.

    Nothing is built yet.

    Args:
        operator: a kind of `demag_operator`, or an operator that it returned.
        structure: that it shall serve. self_field, dtype, rtol: see `demag_operator`.

    Raises:
        ValueError: for an operator of another structure, `self_field` or `dtype`, and as
            `demag_operator`.
    """
    if not isinstance(operator, DemagOperator):
        kind = _choose_kind(operator, "operator", structure, dtype)
        return DemagOperator(structure, kind, self_field, dtype, _check_rtol(rtol, dtype))
    for name, wanted in (("structure", structure), ("self_field", self_field), ("dtype", dtype)):
        actual = getattr(operator, name)
        if actual is not wanted and (name == "structure" or actual != wanted):
            other = f" {actual!r}, not {wanted!r}"
            if name == "structure":
                other = " another object (with its particles at another depth, as material and"
                other += " temperature set it where no `material` was given to the structure: see"
                other += " `Microstructure.calibrated_for`)"
            raise ValueError(
                f"`operator` must be made for the same {name}; received one made for{other}."
            )
    _check_rtol(rtol, dtype)
    return operator


def _check_rtol(rtol, dtype):
    """Return `rtol` as a float; raise where the dtype cannot give it."""
    rtol = checks.number(rtol, "rtol", above=0)
    least = hierarchical.ROUNDING[dtype]
    if not least <= rtol < 1:
        raise ValueError(
            f"`rtol` must be at least {least:g} in {dtype}, and below 1; received {rtol:g}."
        )
    return rtol


def _choose_kind(kind, name, structure, dtype):
    """Check a kind, which is the argument `name`, and choose one for "auto"."""
    checks.one_of(kind, name, get_args(Kind))
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
    """Return the fastest kind of those that serve a structure."""
    if dense.matrix_nbytes(structure, dtype) <= _DENSE_BYTES:
        return "dense"
    try:
        lattice.sites(structure)
    except lattice.NoLatticeError:
        return "hierarchical"
    return "lattice"
