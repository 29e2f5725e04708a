"""Loops by events: states follow the field smoothly from one avalanche to the next.

continuation  compiled loop: to the field at which the next grain becomes unstable, and through the
              avalanche that begins there
prediction    step control: the outcome of a trial, and the field of the next one
trace         runs the continuation to the last field
log           its log: nodes, flips, avalanches
arcs          states at the fields asked for, between avalanches
equilibrate   compiled loop: equilibria of many states at once, at given fields
dense_output  interpolation of the states between avalanches
reversal      flips, moments around avalanches, the coercivity
"""
