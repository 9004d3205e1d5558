"""The swap judged while its network learns: on held-out neighbours, by the figures of a render."""

import numpy as np
import pytest
import torch

from photodouble import networks
from photodouble.evaluation.few import NAMES
from photodouble.faces import Face, FaceSet, FaceSetWriter
from photodouble.stages.swap_judge import LENGTH, RUNS, SwapJudge, held_out_rows, one_a_frame
from photodouble.training.pairs import split_faces


@pytest.fixture
def long_plate(tmp_path, _cast):
    """A set of 400 frames, two faces in every tenth."""
    landmarks = FaceSet.open(_cast.faces("double")).landmarks(0, 1)[0]
    with FaceSetWriter(tmp_path / "long", 64, ["clip"]) as out:
        for frame in range(400):
            for quality in (0.2, 0.9)[frame % 10 != 0 :]:
                face = Face(frame, np.zeros(4, np.float32), 1, landmarks, np.zeros(52, np.float32), np.zeros(3))
                face.source, face.quality = "clip", quality
                out.add(face, None)
    return FaceSet.open(tmp_path / "long")


def test_one_face_a_frame_is_the_best(long_plate):
    rows = one_a_frame(long_plate)
    assert long_plate.frame[rows].tolist() == list(range(400))
    assert (long_plate.quality[rows] > 0.5).all()


def test_stretches_of_neighbours_that_no_training_sees(long_plate):
    rows = one_a_frame(long_plate)
    chosen = held_out_rows(long_plate, rows)
    frames = long_plate.frame[chosen]
    assert len(chosen) == RUNS * LENGTH
    assert (np.diff(frames.reshape(RUNS, LENGTH), axis=1) == 1).all()
    everything = np.arange(len(long_plate))
    trained = long_plate.frame[split_faces(long_plate, everything).train]
    assert abs(frames[:, None] - trained[None]).min() >= 8


def test_the_swap_of_a_good_network_is_judged_better_than_a_bad_ones(_cast):
    judge = SwapJudge(*(FaceSet.open(_cast.faces(name)) for name in ("ada", "double")))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        untouched = networks.create("lite", identities=2, width=4).eval()  # its correction is next to nothing
        wild = networks.create("lite", identities=2, width=4).eval()
        for value in wild.parameters():
            value.add_(0.3 * torch.randn_like(value))
        good, bad = judge(untouched), judge(wild)
        again = judge(untouched)
    assert good == again
    assert {name for name in good if not name.endswith("_mesh")} <= {
        f"swap_{name}" for name in (*NAMES, "expression_error")
    }
    for name in ("similarity_wanted", "gaze_error", "pose_error", "sharpness_ratio"):
        assert good[f"swap_{name}"] == pytest.approx(good[f"swap_{name}_mesh"], rel=0.3, abs=0.03), name
        assert good[f"swap_{name}_mesh"] == bad[f"swap_{name}_mesh"]
    assert bad["swap_similarity_wanted"] < good["swap_similarity_wanted"] - 0.1
    assert all(np.isfinite(value) for value in (*good.values(), *bad.values()))
