"""Read and write microstructures: surface meshes, and files of Neper."""
