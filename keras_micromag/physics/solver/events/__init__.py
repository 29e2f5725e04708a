"""Loops by events: states follow the field smoothly from one avalanche to the next.

continuation  the compiled part: to the field at which the next grain gives way, and through
              the avalanche that it begins
prediction    what one iteration of that tells: whether a root is reached, and where the next is
equilibrate   the compiled part that finds equilibria at given fields, of many states at once
dense_output  pieces between avalanches, and interpolation within them
trace         from these to the states at the fields asked for
"""

from keras_micromag.physics.solver.events.trace import Follower

__all__ = ["Follower"]
