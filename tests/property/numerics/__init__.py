"""Properties of the numerics. DERIVASYS_EXAMPLES asks for more examples of each than the default (`make prove`)."""

import os

EXAMPLES = int(os.environ.get("DERIVASYS_EXAMPLES", "0"))


def examples(default: int) -> int:
    """Return how many examples a property is shown."""
    return max(default, EXAMPLES)
