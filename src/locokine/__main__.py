"""`python -m locokine` is the command `locokine`."""

import sys

from locokine.cli import main

if __name__ == "__main__":
    sys.exit(main())
