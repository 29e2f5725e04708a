"""Microstructures from and to files: surface meshes, Neper."""
