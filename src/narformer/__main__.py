"""``python -m narformer``."""

from narformer.cli import main

main()
