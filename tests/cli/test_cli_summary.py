import io
from pathlib import Path

from rich.console import Console

from photodouble.cli.summary import show

QUALITY = {
    "frames": 472, "frames_with_face": 471, "frames_with_plate_face": 472, "frames_lost": 1,
    "similarity_wanted": 0.671, "similarity_replaced": 0.18, "share_nearer_wanted": 1.0,
    "blendshape_correlation": 0.612, "gaze_correlation": None, "sharpness_ratio": 0.91, "jitter_ratio": 0.97,
    "edge_step": 0.4, "outside_change": 3.0,
}  # fmt: skip
RENDER = {
    "output": Path("/a/very/long/folder/name/that/does/not/fit/into/eighty/columns/however/hard/one/tries/swap.mp4"),
    "frames": 472, "frames_with_face": 471, "model": "lite", "codec": "h264",
    "seconds": {"extract": 12.2, "train": 300.0}, "training": {"images": 15980, "ssim": 0.902}, "quality": QUALITY,
}  # fmt: skip


def shown(values):
    out = io.StringIO()
    show(values, Console(file=out, width=80, highlight=False))
    return out.getvalue()


def test_a_render_shows_quality_in_words_and_marks_what_falls_short():
    told = shown(RENDER)
    likeness = next(line for line in told.splitlines() if line.startswith("Likeness"))
    assert "0.67" in likeness
    assert "!" not in likeness
    assert "0.61 !" in next(line for line in told.splitlines() if line.startswith("Expression"))
    assert "lite: 6 of 7 targets are met. Not met: expression 0.61." in told
    assert "472, with a face: 471 (99.8 %)" in told
    assert "extract 12 s, train 5 min 00 s" in told


def test_paths_are_never_broken():
    assert str(RENDER["output"]) in shown(RENDER)


def test_two_results_stand_side_by_side():
    told = shown({**RENDER, "qualities": {"mesh": {**QUALITY, "similarity_wanted": 0.5}, "lite": QUALITY}})
    likeness = next(line for line in told.splitlines() if line.startswith("Likeness")).split()
    assert likeness[1:4] == ["0.50", "!", "0.67"]
    assert "mesh: " in told
    assert "lite: " in told


def test_a_render_without_figures_still_says_where_it_is():
    assert "swap.mp4" in shown({"output": "swap.mp4", "quality": {}, "frames": 0, "frames_with_face": 0})


def test_inspection_leads_with_the_verdict():
    told = shown({
        "verdict": "made with photodouble", "forensic": None,
        "manifest": {"state": "valid", "consent": ["ab12"], "trusted": True},
        "watermark": {"detected": False, "identifier": None, "confidence": 0.0},
    }).splitlines()  # fmt: skip
    assert told[0].split(maxsplit=1) == ["verdict", "made with photodouble"]
    assert told[1].split() == ["manifest", "valid"]
    assert any(line.split() == ["consent", "ab12"] for line in told)
    assert any(line.split() == ["watermark", "not", "found"] for line in told)


def test_a_watermark_that_nobody_looked_for_is_not_called_absent():
    told = shown({"verdict": "no mark found", "watermark": {"detected": None, "note": "not looked for yet"}})
    assert "watermark  not looked for yet" in told


def test_consent_records_are_a_table_with_the_reason_below():
    ada = {
        "name": "ada",
        "basis": "release",
        "reference": "contract 12",
        "expires": None,
        "holds": True,
        "reason": None,
    }
    eve = {"name": "eve", "holds": False, "reason": "The consent of 'eve' expired on 2020-01-01."}
    lines = shown({"consent": [ada, eve]}).splitlines()
    assert any(line.split() == ["ada", "release", "contract", "12", "-", "yes"] for line in lines)
    assert lines[-1] == "The consent of 'eve' expired on 2020-01-01."
    assert "photodouble consent add" in shown({"consent": []})


def test_figures_on_the_way_are_not_spilled_over_the_terminal():
    training = {"images": 640, "metrics": {"ssim": 0.7}, "best": {"metrics": {"ssim": 0.71}}, "stopped": "Used up."}
    text = shown({"output": "o.mp4", "training": training})
    assert "640" in text and "Used up." in text and "ssim" not in text and "best" not in text.lower()
    assert "training" not in shown({"output": "o.mp4", "training": {}})
