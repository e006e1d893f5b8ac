"""Labels in the text format, written out once for all the series of a site."""


class Labels:
    """The labels of a series: `plain` whole, `head` open for one more."""

    __slots__ = ("head", "plain")

    def __init__(self, **labels: str) -> None:
        inner = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
        self.plain = f"{{{inner}}}" if inner else ""
        self.head = f"{{{inner}," if inner else "{"


def escaped(value: str) -> str:
    """Escape a label's value for the text format."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
