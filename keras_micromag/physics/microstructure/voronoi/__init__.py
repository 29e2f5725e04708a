"""Voronoi and Laguerre polycrystals, generated here without another program."""

from keras_micromag.physics.microstructure.voronoi.polycrystal import voronoi_grains

__all__ = ["voronoi_grains"]
