"""Utilities of the whole package: argument checks, files, memory, progress, backends."""
