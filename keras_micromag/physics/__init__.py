"""The embedded Stoner-Wohlfarth physics: from grains to the demagnetisation curve.

Knows nothing of learning. Units are SI, fields are flux densities µ0·H in tesla; index letters in
shapes: b magnets, g grains, p particles per grain, t field steps.
"""

import keras  # noqa: F401  (registering the classes needs the modules below complete)

from keras_micromag.physics.field import (
    DemagOperator,
    demag_operator,
)
from keras_micromag.physics.field.demag import demag_matrix, demag_tensor
from keras_micromag.physics.field.exchange import areal_exchange
from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.physics.io.neper import neper_grains, read_neper, write_neper
from keras_micromag.physics.io.surfaces import read_surfaces
from keras_micromag.physics.microstructure.contacts import contact_areas
from keras_micromag.physics.microstructure.easy_axes import random_easy_axes
from keras_micromag.physics.microstructure.material import (
    MATERIALS,
    ND2FE14B,
    Material,
    calibrated_depth,
)
from keras_micromag.physics.microstructure.phases import core_shell, mixed_phases, spread_materials
from keras_micromag.physics.microstructure.structure import Microstructure, cubic_grains
from keras_micromag.physics.microstructure.temperature import TemperatureLaw
from keras_micromag.physics.microstructure.voronoi import voronoi_grains
from keras_micromag.physics.simulation import simulate
from keras_micromag.physics.solver.equilibria import ConvergenceError
from keras_micromag.physics.solver.stoner_wohlfarth import equilibrium, switching_field
from keras_micromag.physics.thermal import Thermal

__all__ = [
    "MATERIALS",
    "ND2FE14B",
    "ConvergenceError",
    "DemagOperator",
    "Hysteresis",
    "Material",
    "Microstructure",
    "Polyhedron",
    "TemperatureLaw",
    "Thermal",
    "areal_exchange",
    "calibrated_depth",
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
    "read_surfaces",
    "simulate",
    "spread_materials",
    "switching_field",
    "voronoi_grains",
    "write_neper",
]
