"""The page, its words, its plots and its choice of frames."""

import json
import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from footage import acting, made

from photodouble.errors import BadInput
from photodouble.evaluation import Quality, ReportData, Version, few, learning, summarise, write_report
from photodouble.evaluation.clouds import cloud
from photodouble.evaluation.coverage import coverage
from photodouble.evaluation.data import DataReport
from photodouble.evaluation.learning import duration, reconstruction, summary, swaps
from photodouble.evaluation.plots import Line, draw, path, thin
from photodouble.evaluation.report import bridged, running_median, timecode
from photodouble.evaluation.wording import FIGURES, HOW, shown, spell, targets, verdict
from photodouble.evaluation.worst import filmstrip, worst_frames
from photodouble.media import ClipWriter, open_clip

PAIRS = ("sharpness", "jitter", "flow", "edge")
SHAPES = {"box": (4,), "blendshapes": (52,), "gaze": (2, 2), "pose": (3,)}


def rows(n: int, face: bool = True) -> dict[str, np.ndarray]:
    """Rows of n unremarkable frames, or of frames without a face."""
    noise = np.random.default_rng(1).normal(0, 0.01, n)
    value = lambda mean: mean + noise if face else np.full(n, np.nan)  # noqa: E731
    frames = {"time": np.arange(n) / 24, "presence": np.full(n, 0.99 if face else 0.0), "eyes_shut": np.zeros(n)}
    means = {"similarity_wanted": 0.7, "similarity_replaced": 0.2, "landmark_error": 3, "gaze_error": 0.05}
    for name, mean in {**means, "expression_error": 0.05, "pose_error": 1, "outside_largest": 0}.items():
        frames[name] = value(mean)
    frames["outside_mean"] = frames["outside_largest"]
    for name in PAIRS:
        frames |= {f"{name}_output": value(1.0), f"{name}_plate": np.abs(value(1.0))}
    wave = np.sin(np.arange(n) / 3)
    for name, shape in SHAPES.items():
        for side in ("",) if name == "box" else ("_output", "_plate"):
            values = np.full((n, *shape), 0.3) + 0.2 * wave.reshape(n, *(1 for _ in shape))
            frames[name + side] = values if face else np.full((n, *shape), np.nan)
    if face:
        frames["box"] = np.tile([10.0, 10, 40, 50], (n, 1))
    return frames


def quality(n: int = 60, face: bool = True) -> Quality:
    frames = rows(n, face)
    return Quality(summarise(frames), frames)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, small_plate: Path) -> list[Path]:
    """The plate, and two results of other brightness."""
    folder, plate = tmp_path_factory.mktemp("clips"), open_clip(small_plate)
    paths = [small_plate, folder / "one.mkv", folder / "two.mkv"]
    for path_, shift in zip(paths[1:], (20, 40), strict=True):
        with ClipWriter(path_, plate, "ffv1") as writer:
            for frame in plate.frames(dtype=np.uint8):
                writer.write(type(frame)(frame.image // 2 + shift, frame.index, frame.pts, frame.time_base))
    return paths


class Page(HTMLParser):
    """What a page loads, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.opened: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset", "poster", "data")]

    def handle_data(self, data):
        self.words.append(data)


def test_a_full_report_holds_everything_and_loads_nothing(tmp_path, clips):
    worst = tmp_path / "worst.png"
    cv2.imwrite(str(worst), np.zeros((40, 60, 3), np.uint8))
    footage = acting(made(24, "double"), slice(4, 20), "jawOpen"), made(24)
    swap = {"swap_gaze_error_mesh": 0.08, "swap_sharpness_ratio": 0.9}
    data = ReportData(
        clips[0],
        [
            Version("lite", quality(30), clips[1], "lite", "ffv1"),
            Version("mesh", quality(30), clips[2], "mesh", "ffv1"),
        ],
        wanted="Ada & <b>co</b>",
        replaced="double",
        training=[
            {"seconds": 10.0 * k, "ssim": 0.8 + 0.01 * k, "ssim_mesh": 0.79, "ssim_double": 0.7}
            | ({"swap_gaze_error": 0.07 - 0.002 * k} | swap if k % 2 == 0 else {})
            for k in range(9)
        ],
        stopped="Stopped after 80 s: no better for a minute.",
        worst=worst,
        data=DataReport(footage[1], footage[0], coverage(*footage)),
        settings={"model": "lite"},
        seconds={"extract": 3.2, "train": 80.0},
        consent=[{"name": "ada", "basis": "synthetic", "reference": "made up", "digest": "ab" * 32}],
        marks={"C2PA manifest": "valid"},
        notes=["One clip was short."],
    )
    target = write_report(tmp_path / "one.report.html", data)
    text = target.read_text()
    page = Page(text)
    assert not re.search(r"https?://|@import|url\(", text)
    assert page.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert page.opened.count("script") == 1
    said = " ".join("".join(page.words).split())
    for words in ("targets are met", "The shot", "Before and after", "Along the shot", "Worst frames first", "Training",
                  "no better for a minute", "Settings", "1 min 20 s", "Consent and marks", "ab" * 32, "C2PA manifest",
                  "One clip was short.", "Ada & <b>co</b>", "1 min 20 s; best held-out SSIM 0.880 (0.790 without",
                  "mesh 0.080", "trained 0.054", "Worst held-out faces", "The footage of ada has what 33 % of",
                  "The plate opens the mouth wide in 16 frames"):  # fmt: skip
        assert words in said, words
    assert "b" not in page.opened or "<b>co" not in text
    order = [text.index(f"<h2>{name}") for name in ("Training", "The shot", "Before", "Along", "Worst", "The footage",
                                                    "Settings", "Time", "Consent", "More figures")]  # fmt: skip
    assert order == sorted(order)
    assert len(text) < 6_000_000


def test_the_title_links_to_a_result_beside_the_page(tmp_path, clips):
    target = write_report(
        clips[1].with_name("beside.html"), ReportData(clips[0], [Version("x", quality(30), clips[1])])
    )
    assert '<a href="one.mkv">' in target.read_text()


def test_the_wipe_holds_the_same_frame_of_plate_and_result(tmp_path, clips):
    target = write_report(tmp_path / "w.html", ReportData(clips[0], [Version("result", quality(30), clips[1])]))
    found = json.loads(re.search(r"const frames = (.*), labels", target.read_text()).group(1))
    assert len(found) == 8
    assert all(set(item["pictures"]) == {"plate", "result"} for item in found)
    assert [item["frame"] for item in found] == sorted({item["frame"] for item in found})


@pytest.mark.parametrize("empty", [Quality(), quality(30, face=False)], ids=["no rows", "no face"])
def test_a_report_without_figures_still_says_what_it_can(tmp_path, clips, empty):
    text = write_report(tmp_path / "e.html", ReportData(clips[0], [Version("mesh", empty, clips[1])])).read_text()
    assert "there is no face to compare" in text
    assert "No consent record is known" in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().split()
    assert "<h2>Training" not in text
    assert "<h2>The footage" not in text


def test_a_report_of_a_result_that_is_shorter_than_its_rows(tmp_path, clips):
    text = write_report(tmp_path / "s.html", ReportData(clips[0], [Version("mesh", quality(90), clips[1])])).read_text()
    assert "The shot" in text


def test_no_report_is_left_if_a_clip_is_gone(tmp_path, clips):
    with pytest.raises(BadInput, match=r"gone\.mkv"):
        write_report(tmp_path / "g.html", ReportData(clips[0], [Version("mesh", quality(30), tmp_path / "gone.mkv")]))
    assert list(tmp_path.iterdir()) == []


def test_quality_is_kept_and_read_again(tmp_path):
    kept = quality(20)
    kept.save(tmp_path)
    again = Quality.load(tmp_path)
    assert again.summary == kept.summary
    assert set(again.frames) == set(kept.frames)
    np.testing.assert_array_equal(again.frames["box"], kept.frames["box"])
    (tmp_path / "quality.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match="make the report again"):
        Quality.load(tmp_path)


def test_the_summary_is_json_and_unknown_figures_are_none():
    figures = summarise(rows(30, face=False))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["frames"] == 30
    assert figures["frames_with_face"] == figures["frames_with_plate_face"] == 0
    assert {value for name, value in figures.items() if not name.startswith("frames")} == {None}


def test_the_summary_of_no_frames_is_no_crash():
    assert summarise(rows(0))["frames"] == 0


def test_the_summary_counts_lost_faces_and_takes_no_step_below_zero():
    frames = rows(30)
    frames["presence"][[3, 4]] = 0.1
    frames["edge_output"] = frames["edge_plate"] - 1
    figures = summarise(frames)
    assert (figures["frames_with_face"], figures["frames_lost"]) == (28, 2)
    assert figures["edge_step"] == 0
    lines = {line.label: line for line in shown(figures, targets("mesh", "ffv1"))}
    assert lines["No face lost"].value == "93.3 %"
    assert lines["No face lost"].met is False


def test_words_judge_against_the_models_and_the_codecs_targets():
    figures = {"sharpness_ratio": 0.75, "jitter_ratio": 1.05, "outside_change": 3.0}
    by_label = lambda model, codec: {line.label: line for line in shown(figures, targets(model, codec))}  # noqa: E731
    assert by_label("mesh", "ffv1")["Sharpness"].met is False
    assert by_label("lite", "ffv1")["Sharpness"].met is True
    assert by_label("lite", "ffv1")["Steadiness"].met is True
    assert by_label("lite", "ffv1")["Untouched"].met is False
    assert by_label("lite", "h264")["Untouched"].met is None
    assert by_label("lite", "h264")["Likeness"] == by_label("lite", "h264")["Likeness"]
    assert by_label("lite", "h264")["Likeness"].value == "–"
    assert verdict(shown(figures, targets("mesh", "ffv1"))) == (
        "1 of 3 targets are met. Not met: sharpness 0.75×, untouched 3."
    )


def test_every_explained_figure_is_one_that_is_shown():
    assert set(HOW) <= {figure.label for figure in FIGURES}


def test_spelling():
    assert spell(1.0, "share") == "100 %"
    assert spell(0.9951, "share") == "99.5 %"
    assert spell(0.0, "levels") == "0"
    assert spell(-0.091, "score") == "−0.09"
    assert (timecode(67.324), duration(8.44), duration(125)) == ("1:07.32", "8.4 s", "2 min 05 s")


def test_the_worst_frames_come_first_with_their_reason():
    frames = rows(200)
    frames["presence"][50] = 0
    frames["similarity_wanted"][100] = 0.1
    frames["edge_output"][150:153] += 5
    found = worst_frames(frames)
    assert [item.frame for item in found[:3]][:2] == [50, 100]
    assert found[2].frame in range(150, 153)
    assert ["No face" in found[0].reason, "Nearer to the double" in found[1].reason] == [True, True]
    assert "Seam" in found[2].reason
    distances = np.abs(np.subtract.outer([item.frame for item in found], [item.frame for item in found]))
    assert (distances[~np.eye(len(found), dtype=bool)] >= 12).all()


def test_no_frame_is_bad_where_all_are_alike():
    frames = rows(50)
    for name in frames:
        if name != "time":
            frames[name] = np.broadcast_to(frames[name][:1], frames[name].shape).copy()
    assert worst_frames(frames) == []


def test_the_filmstrip_is_even_and_prefers_frames_with_a_face():
    frames = rows(80)
    frames["box"][:40] = np.nan
    strip = filmstrip(frames)
    assert len(strip) == 8
    assert min(strip) >= 40
    assert set(np.diff(strip)) <= {4, 5, 6}
    assert filmstrip(rows(3)) == [0, 1, 2]
    assert filmstrip(rows(20, face=False))
    assert filmstrip(rows(0)) == []


def test_a_plot_keeps_peaks_breaks_at_gaps_and_stays_in_its_box():
    values = np.zeros(5000)
    values[1234] = 1
    values[2000:3000] = np.nan
    at, kept = thin(np.arange(5000.0), values)
    assert len(kept) <= 500
    assert np.nanmax(kept) == 1
    assert path(at, kept).count("M") == 2
    plot = draw("t", "s", np.arange(5000.0), [Line("a", values, "main")], limits=(0.0, None), target=0.5)
    numbers = [float(y) for y in re.findall(r"[ML][\d.]+ (-?[\d.]+)", plot.svg)]
    assert min(numbers) >= 0
    assert max(numbers) <= 200


def test_a_plot_of_nothing_is_none():
    assert draw("t", "s", np.arange(9.0), [Line("a", np.full(9, np.nan), "main")]) is None
    assert draw("t", "s", np.arange(1.0), [Line("a", np.ones(1), "main")]) is None
    assert draw("t", "s", np.arange(9.0), []) is None


def test_a_running_median_ignores_gaps_and_spikes():
    values = np.ones(40)
    values[7], values[20:39] = 50, np.nan
    smooth = running_median(values)
    assert smooth[7] == 1
    assert np.isnan(smooth[29])
    assert smooth[22] == 1


def test_likeness_of_every_second_frame_is_drawn_as_one_line():
    sparse = np.array([0.1, np.nan, 0.3, np.nan, 0.5])
    np.testing.assert_allclose(bridged(sparse), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert np.isnan(bridged(np.full(3, np.nan))).all()


def test_fractions_of_time_are_no_problem():
    assert timecode(float(Fraction(1001, 30000))) == "0:00.03"
    assert timecode(float("nan")) == ""


def test_what_was_never_trained_has_nothing_to_tell():
    assert summary([], "") == ""
    assert reconstruction([{"seconds": 1.0, "ssim": 0.5}]) is None
    assert swaps([{"seconds": 1.0, "ssim": 0.5}, {"seconds": 2.0, "ssim": None}]) == []
    assert summary([{"seconds": 1.0, "ssim": 0.5}], "Done.") == (
        "Trained for 1.0 s; best held-out SSIM 0.500, after 1.0 s. Done."
    )
    rows = [{"seconds": 70.0, "ssim": 0.5}, {"seconds": 80.0, "ssim": 0.6}]
    kept = {"seconds": 70.0, "metrics": {"ssim": 0.5, "ssim_mesh": 0.4}}
    assert summary(rows, "", kept) == (
        "Trained for 1 min 20 s; best held-out SSIM 0.500 (0.400 without training), after 1 min 10 s."
    )


def test_clouds_stay_in_their_box_and_a_still_head_in_the_middle():
    spread = np.array([[-100.0, 0], [100, 50], [np.nan, 1]])
    drawn = cloud("Heads", [("plate", spread), ("main", np.zeros((3, 2)))], ("l", "r", "t", "b"), (1, 1))
    x, y = np.array(re.findall(r"M(\d+) (\d+)h0", drawn.svg), float).T
    assert len(x) == 5
    assert x.min() >= 0 and x.max() <= 400 and y.min() >= 0 and y.max() <= 260
    still = cloud("Heads", [("plate", np.zeros((1, 2)))], ("l", "r", "t", "b"), (60, 40))
    assert "M200 130h0" in still.svg
    assert cloud("Heads", [("plate", np.zeros((0, 2)))], ("l", "r", "t", "b"), (60, 40)) is None


def test_what_training_shows_of_the_swap_is_measured_and_has_words():
    words = {figure.name for figure in FIGURES}
    assert set(learning.SWAP) <= words
    assert set(learning.SWAP) <= set(few.NAMES)


def test_the_swaps_figures_are_drawn_over_the_seconds():
    rows = [
        {"seconds": at, **{f"swap_{name}{of}": at / 100 for name in learning.SWAP for of in ("", "_mesh")}}
        for at in (1.0, 2.0, 3.0)
    ]
    assert len(swaps(rows)) == len(learning.SWAP)
