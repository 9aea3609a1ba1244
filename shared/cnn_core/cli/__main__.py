"""`python -m cnn_core.cli` is `cnn`."""

import sys

from cnn_core.cli import main

sys.exit(main())
