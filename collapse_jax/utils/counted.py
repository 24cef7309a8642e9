"""Write a number and its noun, in the singular where the number is one."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with thousands separated, and its noun.

    Args:
      number: how many there are.
      noun: in the singular.
      plural: of the noun; the noun and "s" if not given.

    >>> counted(1, "chain"), counted(0, "chain"), counted(2000, "study", "studies")
    ('1 chain', '0 chains', '2,000 studies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
