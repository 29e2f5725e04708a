"""Who must agree with whom.

==========================================  ==============================================
`rotation_matrices`                         held to
==========================================  ==============================================
every descriptor                            the values in Neper's documentation
every descriptor of one rotation            formulas written out from their definitions
active and passive, formats 3.4 and 3.5     opposite rotations
`matrices_from_easy_axes`                   rotations that take z to the axes
==========================================  ==============================================
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keras_micromag.physics.io.neper.orientations import (
    checked_rotations,
    descriptor_width,
    matrices_from_easy_axes,
    parse_descriptor,
    rotation_matrices,
)

# In Neper's documentation, of a crystal turned by +30° about x: the passive values.
DOCUMENTED = {
    "rodrigues": (0.267949192, 0, 0),
    "euler-bunge": (0, 30, 0),
    "euler-kocks": (270, 30, 90),
    "euler-roe": (270, 30, 90),
    "rotmat": (1, 0, 0, 0, 0.866025404, 0.5, 0, -0.5, 0.866025404),
    "axis-angle": (1, 0, 0, 30),
    "quaternion": (0.965925826, 0.258819045, 0, 0),
}


def descriptors(axis, angle):
    """Return the matrix and the passive values of a rotation, written out from the definitions."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    u = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    # Bunge: g = Z(phi2) X(Phi) Z(phi1), whose rows are the crystal's axes.
    g = u.T
    bunge = np.arctan2(g[2, 0], -g[2, 1]), np.arccos(g[2, 2]), np.arctan2(g[0, 2], g[1, 2])
    first, second, third = np.degrees(bunge)
    return u, {
        "rodrigues": axis * np.tan(angle / 2),
        "euler-bunge": (first, second, third),
        "euler-kocks": (first - 90, second, 90 - third),
        "euler-roe": (first - 90, second, third + 90),
        "rotmat": g.ravel(),
        "axis-angle": (*axis, np.degrees(angle)),
        "quaternion": (np.cos(angle / 2), *(axis * np.sin(angle / 2))),
    }


def test_the_documented_example():
    turned = Rotation.from_euler("x", 30, degrees=True).as_matrix()
    for name, values in DOCUMENTED.items():
        assert descriptor_width(name) == len(values)
        np.testing.assert_allclose(rotation_matrices(name, False, [values])[0], turned, atol=1e-9)
        np.testing.assert_allclose(rotation_matrices(name, True, [values])[0], turned.T, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_one_rotation_in_every_descriptor(seed):
    rng = np.random.default_rng(seed)
    u, values = descriptors(rng.normal(size=3), rng.uniform(0.1, 3.0))
    assert set(values) == set(DOCUMENTED)
    for name, row in values.items():
        np.testing.assert_allclose(
            rotation_matrices(name, False, [row])[0], u, atol=1e-13, err_msg=name
        )


@pytest.mark.parametrize("short", ["R", "e", "ek", "er", "g", "rtheta", "q"])
def test_names_and_conventions(short):
    name, opposite = parse_descriptor(short, "2.0")
    assert name in DOCUMENTED
    assert not opposite
    for version in ("2.0", "3.3", "3.4"):
        assert parse_descriptor(f"{name}:active", version) == (name, False)
        assert parse_descriptor(f"{short}:passive", version) == (name, True)
    assert parse_descriptor(f"{name}:active", "3.5") == (name, True)
    assert parse_descriptor(f"{short}:passive", "3.5") == (name, False)
    assert parse_descriptor(name, "3.5") == (name, False)


@pytest.mark.parametrize("text", ["", "m", "homochoric", "rodrigues:", "rodrigues:Active", "q:a:b"])
def test_other_descriptors(text):
    with pytest.raises(ValueError, match=r"`(descriptor|convention)` must be one of"):
        parse_descriptor(text, "3.5")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("quaternion", (0, 0, 0, 0)),
        ("quaternion", (1, 1, 0, 0)),
        ("axis-angle", (0, 0, 0, 30)),
        ("rotmat", (1, 0, 0, 0, 1, 0, 0, 0, -1)),
        ("rotmat", (1, 0, 0, 0, 1, 0, 0, 0, 2)),
        ("rodrigues", (np.nan, 0, 0)),
    ],
)
def test_matrices_that_are_not_rotations_are_refused(name, row):
    with pytest.raises(ValueError, match=r"`(quaternion|axis|rotmat|rodrigues)` must .* index"):
        rotation_matrices(name, False, [DOCUMENTED[name], row])


def test_half_turns():
    # A Rodrigues vector is infinite there; what Neper writes instead is very long.
    long = rotation_matrices("rodrigues", False, [[0, 1e16, 0], [3e40, 0, 0]])
    np.testing.assert_allclose(long, [np.diag([-1, 1, -1]), np.diag([1, -1, -1])], atol=1e-15)


def test_matrices_from_easy_axes():
    axes = np.random.default_rng(1).normal(size=(50, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    axes = np.concatenate([axes, np.eye(3), -np.eye(3), [[1e-200, 0, -1]]])
    turned = matrices_from_easy_axes(axes)
    np.testing.assert_allclose(turned[:, :, 2], axes, atol=1e-15)
    np.testing.assert_allclose(checked_rotations(turned, "turned").as_matrix(), turned, atol=1e-15)
