"""`python -m keras_micromag`: the command line."""

import sys

from keras_micromag.cli import main

if __name__ == "__main__":
    sys.exit(main())
