"""What can go wrong in a way that the user mends. Standard library only.

StackError          says what is wrong and what to do; shown without a traceback
└─ PackageError     a program is missing and cannot be had here (stack/packages.py)
"""


class StackError(Exception):
    """Something that the user can mend; its text says how."""
