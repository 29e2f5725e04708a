"""Short uses of the package, each in a file of its own: `python -m examples.<name>`."""
