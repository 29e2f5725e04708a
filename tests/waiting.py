"""Waiting for what other processes do."""

import time


def when(test):
    """What `test` returns once it is true; a file that is not there yet is waited for too."""
    for _ in range(1800):
        try:
            if found := test():
                return found
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("not within three minutes")
