"""Untrusted text on a terminal: it can't move the cursor, set the title or hide a line."""


def printable(text: str, *, keep: str = "") -> str:
    """`text` with everything escaped that a terminal does not show as it is: control and format characters, stray bytes.

    The characters in `keep` stay, as the newlines of an error of several lines.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else one.encode("unicode_escape").decode("ascii") for one in text)
