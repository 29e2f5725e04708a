"""Polycrystals of our own making: Voronoi and Laguerre tessellations of a box."""

from keras_micromag.physics.microstructure.voronoi.polycrystal import voronoi_grains

__all__ = ["voronoi_grains"]
