"""Runs from the data sets to a report: training by one recipe, or every experiment of the paper.

Only the command line imports this; the data come from `tfds_esw`, the figures from matplotlib.
"""
