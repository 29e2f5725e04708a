"""Grains with their particles, materials and easy axes."""
