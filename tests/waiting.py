"""Wait for other processes."""

import time


def wait_until(condition):
    """Return the result of `condition()` as soon as it is true; an OSError counts as false."""
    for _ in range(1800):
        try:
            if result := condition():
                return result
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("not within three minutes")
