"""What `groundshift matchers` prints."""

from groundshift import config
from groundshift.cli.lines import width, wrapped
from groundshift.config import layout
from groundshift.nets.weights import names


def matchers() -> list[str]:
    """List every matcher, filter and part with its parameters."""
    lines = [
        "Write a matcher as NAME(parameter=value, ...), or with values in the order of this list;",
        "what is left out has its default:",
        "  groundshift track A B OUT --matcher 'NCC(window=64, search=16, stride=16)'",
        "  ... --matcher 'CoarseToFine(stages=(NCC(stride=16), LeastSquares(stride=4)))'",
        "  ... --matcher 'Filtered(Wallis(), default(search=32))'",
    ]
    titles = {"matcher": "Matchers", "filter": "Filters, for Filtered", "part": "Parts of them"}
    kind = ""
    for each in config.describe():
        if each.kind != kind:
            kind = each.kind
            lines += ["", titles[kind]]
        lines += ["", *_described(each)]
    lines += ["", "Put together of these"]
    for each in config.describe_presets():
        lines += ["", *_described(each)]
        if all(parameter.default for parameter in each.parameters):
            whole = layout.laid_out(repr(config.matcher_from(each.name)), width() - 4)
            lines += ["    It stands for", *(f"    {line}" for line in whole)]
    own = ", ".join(names())
    last = (
        f"Weights of learned: {own}, or the folder of a run of groundshift train. Such a name or "
        "folder is a matcher, too: what learned makes of it."
    )
    return [*lines, "", *wrapped(last, 0, 0)]


def _described(each: config.Description) -> list[str]:
    lines = wrapped(f"{each.name}  {each.summary}", 2, 4)
    for parameter in each.parameters:
        default = f"={parameter.default}" if parameter.default else ""
        lines += wrapped(f"{parameter.name}{default}  {parameter.summary}", 4, 8)
    return lines
