"""A small finite-difference micromagnetic solver, and switching fields that it computed."""
