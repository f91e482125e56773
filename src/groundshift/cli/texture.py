"""What the command ``pack`` prints."""

from groundshift.io.pack import Packed
from groundshift.synth.bank import KINDS, SPLITS, Stack
from groundshift.synth.measured import MotionField

MIB = 2**20


def contents(packed: Packed) -> list[str]:
    """Say what is in a bank: each source with its planes, megapixels and licence, and the sums.

    Of a field of motion, nodes and the share of them that was measured.
    """
    sources: dict[tuple[str, str], list[Stack]] = {}
    for stack in packed.stacks:
        sources.setdefault((stack.name.rpartition("/")[0] or ".", stack.kind), []).append(stack)
    lines = [
        f"{kind:<13}{_amount(own):<27}{folder}  ({', '.join(sorted({s.licence for s in own}))})"
        for (folder, kind), own in sorted(sources.items(), key=lambda item: item[0][::-1])
    ]
    lines.append("")
    for kind in KINDS:
        for split in SPLITS:
            own = [s for s in packed.stacks if (s.kind, s.split) == (kind, split)]
            if own:
                scenes = len({stack.scene for stack in own})
                lines.append(f"{split:<13}{_amount(own):<27}{kind} of {_count(scenes, 'place')}")
    lines += [
        f"{'motion':<13}{_nodes(field):<27}{field.name}  ({field.licence}), {field.split}"
        for field in packed.motions
    ]
    kept = sum(stack.pixels for stack in packed.stacks)
    lines.append(
        f"packed       {packed.size / MIB:.2f} MiB, {_megapixels(kept)} of "
        f"{_megapixels(packed.offered)} Mpx, {8 * packed.size / kept:.2f} bits per pixel"
    )
    if packed.skipped:
        lines.append(f"left out     {_count(len(packed.skipped), 'file')}, see the warnings")
    return lines


def _amount(stacks: list[Stack]) -> str:
    planes = sum(len(stack.dates) for stack in stacks)
    return f"{_count(planes, 'plane')}, {_megapixels(sum(s.pixels for s in stacks))} Mpx"


def _nodes(field: MotionField) -> str:
    rows, columns = field.known.shape
    return f"{columns} x {rows} nodes, {float(field.known.double().mean()):.0%}"


def _megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.3g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
