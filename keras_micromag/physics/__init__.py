"""The embedded Stoner-Wohlfarth physics: from grains to the demagnetisation curve.

Knows nothing of learning. Units are SI, fields are flux densities µ0·H in tesla; index letters in
shapes: b magnets, g grains, p particles per grain, t field steps.
"""

import keras  # noqa: F401  (what is registered then needs the modules below whole)

from keras_micromag.physics.contacts import contact_areas
from keras_micromag.physics.demag import demag_matrix, demag_tensor
from keras_micromag.physics.easy_axes import random_easy_axes
from keras_micromag.physics.events import Events
from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.physics.loops import ConvergenceError
from keras_micromag.physics.material import (
    BAFE12O19,
    MATERIALS,
    ND2FE14B,
    SM2CO17,
    SMCO5,
    Material,
)
from keras_micromag.physics.neper import Tessellation, neper_grains, read_neper, write_neper
from keras_micromag.physics.operators import (
    DemagOperator,
    demag_operator,
    read_operator,
    write_operator,
)
from keras_micromag.physics.phases import core_shell, mixed_phases, spread_materials
from keras_micromag.physics.polycrystal import voronoi_grains
from keras_micromag.physics.polyhedron import Polyhedron
from keras_micromag.physics.simulation import simulate
from keras_micromag.physics.stoner_wohlfarth import equilibrium, switching_field
from keras_micromag.physics.structure import Microstructure, cubic_grains
from keras_micromag.physics.surfaces import read_surfaces

__all__ = [
    "BAFE12O19",
    "MATERIALS",
    "ND2FE14B",
    "SM2CO17",
    "SMCO5",
    "ConvergenceError",
    "DemagOperator",
    "Events",
    "Hysteresis",
    "Material",
    "Microstructure",
    "Polyhedron",
    "Tessellation",
    "contact_areas",
    "core_shell",
    "cubic_grains",
    "demag_matrix",
    "demag_operator",
    "demag_tensor",
    "equilibrium",
    "mixed_phases",
    "neper_grains",
    "random_easy_axes",
    "read_neper",
    "read_operator",
    "read_surfaces",
    "simulate",
    "spread_materials",
    "switching_field",
    "voronoi_grains",
    "write_neper",
    "write_operator",
]
