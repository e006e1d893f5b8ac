"""Words by which one knows that a secret stands somewhere."""

import re

SECRET_WORD = re.compile(
    r"auth|cookie|session|passw|secret|token|(api|access|private)[-_ ]?key|-key$", re.IGNORECASE
)
"""Found in a header's name, or in a body, that holds a secret."""
