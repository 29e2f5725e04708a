"""Demagnetising fields by a precorrected FFT: near grains exactly, far ones on a mesh."""
