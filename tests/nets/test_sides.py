"""Displacements from both sides of a jump, tried where a blurred guess is wrong."""

import torch
from torch.nn.functional import avg_pool2d

from groundshift.nets import sides
from groundshift.nets.cells import CELL
from groundshift.nets.evidence import Comparison
from groundshift.nets.images import Images
from groundshift.synth.motions import Constant
from groundshift.synth.sample import speckle_sample

JUMP = 5.0


def test_the_two_that_differ_most_are_found_in_whatever_direction():
    shift = torch.zeros(1, 2, 40, 60)
    shift[:, 0, :, 30:], shift[:, 1, :, 30:] = 3.0, -4.0
    one, two = sides.extremes(shift, torch.ones(1, 1, 40, 60))
    near = (0, slice(None), slice(None), slice(25, 35))
    assert torch.equal((one - two)[near].abs().amax((1, 2)), torch.tensor([3.0, 4.0]))
    assert torch.equal((one - two)[near].abs().amin((1, 2)), torch.tensor([3.0, 4.0]))
    assert float((one - two)[..., :20].abs().max()) == 0
    assert float((one - shift)[..., :20].abs().max()) == 0


def test_unknown_squares_are_not_taken():
    shift = torch.zeros(1, 2, 20, 20)
    shift[..., 10:] = 9.0
    known = torch.ones(1, 1, 20, 20)
    known[..., 10:] = 0
    one, two = sides.extremes(shift, known)
    assert float(one[..., :10].abs().max()) == float(two[..., :10].abs().max()) == 0


def blurred():
    """Two blocks that move apart, and the guess of a search with a large window."""
    parts = [
        speckle_sample(Constant(0.0, dx), size=256, coherence=1.0, seed=4)
        for dx in (JUMP / 2, -JUMP / 2)
    ]
    left = (torch.arange(256) < 128).expand(256, 256)
    ramp = ((128 - torch.arange(256.0)) / 24).clamp(-1, 1) * JUMP / 2
    guess = torch.stack([torch.zeros(256, 256), ramp.expand(256, 256)])[None]
    reference = parts[0].reference
    # A secondary that opens a gap: each half is where it went, as seen from the reference.
    secondary = torch.where(left.roll(0, 1), parts[0].secondary, parts[1].secondary)
    truth = torch.where(left, JUMP / 2, -JUMP / 2)
    return reference, secondary, guess, truth


def test_beside_a_jump_one_side_leads_where_no_window_does():
    reference, secondary, guess, truth = blurred()
    images = Images.of(reference[None], secondary[None])
    compared = Comparison.of(images, guess)
    found = compared.evidence(guess, slice(0, 256 // CELL)).candidates[0, :, 1]
    rest = truth - guess[0, 1]
    rest = avg_pool2d(rest[None, None], CELL)[0, 0]
    # Columns 6 to 16 px from the jump, on the side whose ground is whole.
    near = (slice(20, -20), slice(56, 61))
    errors = (found - rest)[(slice(None), *near)].abs().mean((1, 2))
    windows, tried = errors[: -sides.CANDIDATES], errors[-sides.CANDIDATES :]
    assert float(tried.min()) < 0.15
    assert float(tried.min()) < 0.3 * float(windows.min())
