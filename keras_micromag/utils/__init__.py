"""Utilities of all parts of the package: argument checks, files, memory, progress, backends."""
