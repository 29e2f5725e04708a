"""Polyhedra: volumes, insets, overlap, intersections of half-spaces."""
