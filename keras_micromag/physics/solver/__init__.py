"""Algorithm 1: the Stoner-Wohlfarth particle, relaxation, loops by field steps and by events."""
