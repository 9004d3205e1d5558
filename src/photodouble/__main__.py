"""`python -m photodouble`."""

import sys

from photodouble.cli import main

sys.exit(main())
