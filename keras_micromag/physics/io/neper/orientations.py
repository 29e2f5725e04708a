"""Convert Neper's descriptors of crystal orientations to rotation matrices.

Neper's documentation ("Rotations and Orientations") says: "The so-called 'passive' orientation
convention is used by default, which is based on the rotation of the sample coordinate system into
the crystal coordinate system. […] The values of the orientation descriptors under the 'active'
convention are obtained by taking the opposite rotation." Its example, a crystal turned by +30°
about x of the sample, has the Rodrigues vector (0.268, 0, 0), the Bunge angles (0, 30, 0) and the
rotation matrix [[1, 0, 0], [0, 0.866, 0.5], [0, −0.5, 0.866]], whose rows are the crystal's axes.

So a passive descriptor names the rotation that takes the axes of the sample to those of the
crystal. Its matrix U takes a direction c in the crystal to the direction U @ c in the sample. The
descriptor "rotmat" alone is the transpose, Uᵀ.

Up to Neper 4.9 (formats 2.0 to 3.4) the same numbers were called active; 4.10 swapped the two
words with format 3.5 ("The orientation data themselves remain the same"). Neper 3 named no
convention; its numbers have the same meaning as the default of later versions.

This was compared with files that Neper itself wrote: with `-ori "fibre(x,1,1,1)"`, U takes <111> of
every crystal to x; and one tessellation written in formats 3.4 and 3.5 has the same U.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from keras_micromag.utils import checks

_SHORT_NAMES = {
    "R": "rodrigues",
    "e": "euler-bunge",
    "ek": "euler-kocks",
    "er": "euler-roe",
    "g": "rotmat",
    "rtheta": "axis-angle",
    "q": "quaternion",
}
"""Names that Neper 3 uses."""


def _from_rodrigues(r):
    # (1, r) is the quaternion, not normalised; SciPy has the scalar last.
    return Rotation.from_quat(np.insert(r, 3, 1.0, axis=1))


def _from_bunge(angles):
    return Rotation.from_euler("ZXZ", angles, degrees=True)


def _from_kocks(angles):
    first, second, third = angles.T
    return _from_bunge(np.stack([first + 90, second, 90 - third], axis=1))


def _from_roe(angles):
    first, second, third = angles.T
    return _from_bunge(np.stack([first + 90, second, third - 90], axis=1))


def _from_axis_angle(values):
    axis, angle = values[:, :3], np.radians(values[:, 3:])
    return Rotation.from_rotvec(checks.unit_vectors(axis, "axis", (None, 3)) * angle)


def _from_quaternion(values):
    unit = checks.unit_vectors(values, "quaternion", (None, 4))
    return Rotation.from_quat(np.roll(unit, -1, axis=1))


def _from_rotmat(values):
    return checked_rotations(values.reshape(-1, 3, 3).swapaxes(1, 2), "rotmat")


_DESCRIPTORS = {
    "rodrigues": (3, _from_rodrigues),
    "euler-bunge": (3, _from_bunge),
    "euler-kocks": (3, _from_kocks),
    "euler-roe": (3, _from_roe),
    "rotmat": (9, _from_rotmat),
    "axis-angle": (4, _from_axis_angle),
    "quaternion": (4, _from_quaternion),
}


def parse_descriptor(text: str, version: str) -> tuple[str, bool]:
    """Return the full name of a descriptor, and whether it is opposite to Neper's default.

    Args:
        text: the descriptor in a file, such as "rodrigues:active" or "e".
        version: format of the file, such as "3.5".

    Raises:
        ValueError: for a descriptor or a convention that Neper does not have.

    Example:
        >>> parse_descriptor("q", "2.0")
        ('quaternion', False)
        >>> parse_descriptor("rodrigues:active", "3.4"), parse_descriptor("rodrigues:active", "3.5")
        (('rodrigues', False), ('rodrigues', True))
    """
    name, colon, convention = text.partition(":")
    name = _SHORT_NAMES.get(name, name)
    checks.one_of(name, "descriptor", _DESCRIPTORS)
    if not colon:
        return name, False
    checks.one_of(convention, "convention", ("active", "passive"))
    return name, convention == ("active" if version == "3.5" else "passive")


def descriptor_width(name: str) -> int:
    """Return how many numbers the descriptor `name` has for one orientation.

    Example:
        >>> descriptor_width("quaternion")
        4
    """
    return _DESCRIPTORS[name][0]


def rotation_matrices(name: str, opposite: bool, values: ArrayLike) -> np.ndarray:
    """Return matrices (g, 3, 3) that take directions in the crystal to directions in the sample.

    Args:
        name, opposite: see `parse_descriptor`.
        values: (g, `descriptor_width(name)`) numbers of the file, angles in degrees.

    Raises:
        ValueError: when a row is not a rotation. The message names the row.

    Example:
        >>> rotation_matrices("euler-bunge", False, [[0, 90, 0]])[0].round(3) + 0
        array([[ 1.,  0.,  0.],
               [ 0.,  0., -1.],
               [ 0.,  1.,  0.]])
    """
    values = checks.finite_array(values, name, (None, descriptor_width(name)))
    _, convert = _DESCRIPTORS[name]
    rotations = convert(values)
    return (rotations.inv() if opposite else rotations).as_matrix()


def checked_rotations(matrices: ArrayLike, name: str) -> Rotation:
    """Return the rotations of `matrices` (g, 3, 3).

    Raises:
        ValueError: when a matrix is not a rotation. The message names it and the argument `name`.

    Example:
        >>> checked_rotations([[[0, -1, 0], [1, 0, 0], [0, 0, 1]]], "orientations").magnitude()
        array([1.5708])
    """
    matrices = checks.finite_array(matrices, name, (None, 3, 3))
    deviation = np.abs(matrices @ matrices.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2))
    wrong = (deviation > 1e-3) | (np.linalg.det(matrices) < 0)
    if wrong.any():
        raise ValueError(f"`{name}` must hold rotations; that at index {wrong.argmax()} is none.")
    return Rotation.from_matrix(matrices)


def matrices_from_easy_axes(easy_axes: ArrayLike) -> np.ndarray:
    """Return rotation matrices (g, 3, 3) that take c, the crystal's z, to `easy_axes` (g, 3).

    Each rotates by the smallest angle, about the axis perpendicular to both. The rotation of the
    crystal about its c axis is arbitrary in a uniaxial magnet.

    Example:
        >>> matrices_from_easy_axes([[1.0, 0.0, 0.0]])[0].round(3) + 0
        array([[ 0.,  0.,  1.],
               [ 0.,  1.,  0.],
               [-1.,  0.,  0.]])
    """
    x, y, z = np.asarray(easy_axes, float).T
    sin = np.hypot(x, y)
    along_z = sin == 0  # any perpendicular axis serves, such as y
    axis = np.stack([-y, np.where(along_z, 1.0, x), 0 * z], axis=1)
    axis /= np.where(along_z, 1.0, sin)[:, None]
    return Rotation.from_rotvec(axis * np.arctan2(sin, z)[:, None]).as_matrix()
