"""Messages as the command line says them: parameters of the verbs written as options.

What lies below the commands speaks Python, ``pass band=2``, since it serves Python as well. On the
command line that is ``--band 2``.
"""

import re
from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

DATE = re.compile(r"time='([^']+)' for the (reference|secondary)")
ASSIGNED = re.compile(r"(?<![^\s(])([a-z_]+)=('[^']*'|[^\s,;)]*)")
"""A name, and a value if there is one, at the start of a word: not in the middle of a path."""


def as_options(message: str, *commands: Callable[..., Any]) -> str:
    """Write each ``name=value`` in a message as the option of a command that has one of that name.

    Parameters of a matcher stay as they are, since they are typed like that: whatever stands within
    the parentheses of a call.

    Examples
    --------
    >>> def verb(*, coregister: str, nodata: float, search: int): ...
    >>> as_options("pass coregister='shift' with it (nodata=)", verb)
    'pass --coregister shift with it (--nodata)'
    >>> as_options("search=7 belongs there, as in NCC(search=7)", verb)
    '--search 7 belongs there, as in NCC(search=7)'
    """
    names = {
        parameter.name
        for command in commands
        for parameter in signature(command).parameters.values()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }
    message = DATE.sub(r"--\2-time \1", message).replace(" to open_image", "")

    def written(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in names or "/" in value or _in_a_call(message[: found.start()]):
            return found[0]
        return f"--{name.replace('_', '-')} {value.strip(chr(39))}".rstrip()

    return ASSIGNED.sub(written, message)


def _in_a_call(before: str) -> bool:
    """Whether parentheses that follow a name are open at the end of a text."""
    opened: list[bool] = []
    for index, character in enumerate(before):
        if character == "(":
            opened.append(before[index - 1 : index].isidentifier())
        elif character == ")" and opened:
            opened.pop()
    return any(opened)
