"""What one can do with the package, each in a file of its own: `python -m examples.<name>`."""
