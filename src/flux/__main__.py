"""`python -m flux` is the command `flux`."""

import sys

from flux.cli import main

sys.exit(main())
