"""Benchmarks of every claim about speed, each beside a peer."""
