"""``python -m narformer.cli``."""

from narformer.cli import main

main()
