"""What every room of the package uses: argument checks, files, memory, progress, backends."""
