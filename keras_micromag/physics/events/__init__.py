"""Loops by events: states follow the field smoothly from one avalanche to the next.

continuation  the compiled part: to the field at which the next grain gives way, and through
              the avalanche that it begins
settling      the compiled part that settles many states at given fields
course        pieces between avalanches, and interpolation within them
following     from these to the states at the fields asked for
events        what happened, as a result tells it
"""

from keras_micromag.physics.events.events import Events
from keras_micromag.physics.events.following import Follower

__all__ = ["Events", "Follower"]
