"""Makes the loops importable by their file names, for the tests here and for benchmarks that do the same."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
