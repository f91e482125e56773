"""Training without truth: what is alike under a displacement, and how a net learns from that."""

from dataclasses import replace

import pytest
import torch

from groundshift.errors import GroundshiftError
from groundshift.matchers.whole import match_whole
from groundshift.nets.direct import through
from groundshift.nets.fusion import FusionConfig
from groundshift.nets.images import Images
from groundshift.nets.losses import unlike_loss
from groundshift.nets.refine import learned
from groundshift.nets.voxelmorph import VoxelMorph, VoxelMorphConfig, carried
from groundshift.synth.motions import Constant, Waves
from groundshift.synth.recipe import Recipe, draw
from groundshift.synth.sample import speckle_sample
from groundshift.synth.stream import item
from groundshift.train import State, TrainConfig, train
from groundshift.train.objective import outcome

RECIPE = Recipe(size=64, radar=1.0, plain=1.0, motions=(("constant", 1.0),), coherence=(0.9, 1.0))
TINY = TrainConfig(
    net=VoxelMorphConfig(0.5),
    recipe=RECIPE,
    objective="alike",
    steps=4,
    batch=2,
    pool=4,
    warmup=2,
    save=2,
    samples=2,
    validate=4,
)


def loss_of(sample, flow, smooth=0.1):
    images = Images.of(sample.reference[None], sample.secondary[None])
    seen, known = through(images, flow)
    told = torch.ones_like(known, dtype=torch.bool)
    return float(unlike_loss(images.reference, seen, known, flow, told, smooth))


def test_the_truth_is_most_alike():
    sample = speckle_sample(Waves((1.0, 0.7), (120.0, 90.0)), size=192, coherence=0.8, seed=1)
    truth = torch.stack([sample.dy, sample.dx])[None]
    least = loss_of(sample, truth)
    assert least == pytest.approx(1 - 0.8**2, abs=0.08)
    for off in ((0.3, 0.0), (0.0, -0.3), (2.0, 2.0)):
        assert loss_of(sample, truth + torch.tensor(off)[None, :, None, None]) > least + 0.02
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    assert loss_of(sample, truth + 0.1 * noise) > least + 0.01


def test_smoothness_is_a_mean_of_gradients():
    flat = torch.zeros(1, 2, 64, 64)
    step = flat.clone()
    step[..., 32:] = 2.0
    sample = speckle_sample(Constant(0.0, 0.0), size=64, coherence=1.0, seed=1)
    images = Images.of(sample.reference[None], sample.secondary[None])
    both = images.reference, images.reference, images.known
    everywhere = torch.ones(1, 64, 64, dtype=torch.bool)
    one, two = (float(unlike_loss(*both, flow, everywhere, 1.0)) for flow in (flat, step))
    # Both components jump by 2 px in one of 63 columns.
    assert two - one == pytest.approx(8**0.5 / 63, rel=0.02)
    # A jump to where nothing is told is none.
    told = everywhere.clone()
    told[..., 32:] = False
    assert float(unlike_loss(*both, step, told, 1.0)) == pytest.approx(one, abs=1e-6)


def test_what_one_image_does_not_show_does_not_count():
    sample = speckle_sample(Constant(1.0, 0.0), size=128, coherence=0.9, seed=2)
    flow = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 128, 128)
    reference, secondary = sample.reference.clone(), sample.secondary.clone()
    secondary[40:90, 50:80] = torch.nan
    images = Images.of(reference[None], secondary[None])
    _, known = through(images, flow)
    assert not known[0, 40:88, 51:79].any()
    assert known[0, 95:120, 10:120].all()
    assert abs(loss_of(sample._replace(secondary=secondary), flow) - loss_of(sample, flow)) < 0.03


def test_carried_is_bilinear_with_nothing_outside():
    plane = torch.arange(36.0).reshape(1, 1, 6, 6)
    flow = torch.zeros(1, 2, 4, 4)
    flow[:, 0], flow[:, 1] = 0.5, 1.0
    found = carried(plane, flow, 1)[0, 0]
    assert torch.allclose(found, plane[0, 0, 1:5, 2:6] + 3.0)
    flow[:, 1] = 9.0
    assert float(carried(plane, flow, 1).abs().max()) == 0


def test_an_integrated_velocity_goes_there_and_back():
    velocity = torch.zeros(1, 2, 64, 64)
    velocity[:, 0] = torch.sin(torch.arange(64) / 10)[:, None]
    net = VoxelMorph(VoxelMorphConfig(0.3, integrate=6))
    net.flow.weight.data.zero_()

    def integrated(sign):
        net.flow.register_forward_hook(lambda *_: sign * velocity)
        return net(torch.zeros(1, 2, 64, 64), torch.ones(1, 1, 64, 64))[0]

    there, back = integrated(1.0), integrated(-1.0)
    rest = (there + carried(back, there))[..., 8:-8, 8:-8]
    assert float(there.abs().max()) > 0.9
    assert float(rest.abs().max()) < 0.01


def test_each_image_is_encoded_alone():
    net = VoxelMorph(VoxelMorphConfig(0.5)).eval()
    images = torch.randn(1, 3, 64, 64)
    known = torch.ones(1, 1, 64, 64)
    seen = [net.encode(image, known) for image in images.split(1, 1)]
    for i, j in ((0, 1), (2, 0)):
        pair = torch.stack([images[:, i], images[:, j]], 1)
        assert torch.equal(net.decode(seen[i], seen[j], known), net(pair, known)[0])


def test_it_learns_without_the_truth():
    settings = replace(TINY, rate=3e-3)
    state = State.begin(settings, "cpu")
    drawn = item(draw(RECIPE, 1), 1, ("constant",))
    batch = {name: plane[None] for name, plane in drawn.items()}
    truth = batch["motion"]
    start = truth + torch.tensor([0.4, -0.3])[None, :, None, None]
    # Whatever the samples say is true does not matter.
    batch["motion"] = torch.full_like(truth, 7.0)
    known = torch.ones(1, 64, 64, dtype=torch.bool)
    for step in range(45):
        found = outcome(settings, state.net, batch, (start, known), step)
        state.optimizer.zero_grad()
        found.total.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
        state.optimizer.step()
    error = (found.flow.detach() - truth).abs()[..., 12:-12, 12:-12].mean()
    assert float(error) < 0.5 * 0.35


def test_a_run_is_a_matcher(tmp_path):
    train(TINY, tmp_path, workers=0)
    sample = speckle_sample(Constant(0.5, 0.2), size=128, coherence=0.95, seed=3)
    found = match_whole(learned(str(tmp_path), 4), sample.reference, sample.secondary)
    assert found.dy.shape == (128, 128)


def test_what_cannot_be():
    with pytest.raises(GroundshiftError, match="choose one of truth, alike, coherence"):
        TrainConfig(objective="luck")
    with pytest.raises(GroundshiftError, match="is not for 'fusion'"):
        TrainConfig(net=FusionConfig(), objective="alike")
    with pytest.raises(GroundshiftError, match="pass 0 to 10"):
        VoxelMorphConfig(integrate=20)
