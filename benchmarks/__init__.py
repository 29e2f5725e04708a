"""What is claimed about speed, runnable, each beside a peer."""
