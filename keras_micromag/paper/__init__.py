"""Whole runs, from the data sets to a report: one recipe trained, or every experiment of the paper.

Only the command line imports this; the data come from `tfds_esw`, the figures from matplotlib.
"""
