"""Event files: read back with TensorBoard's own record format, after kills, too."""

import struct
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event, SessionLog
from toy import Toy

from photodouble.errors import BadInput
from photodouble.training.engine import fit
from photodouble.training.logs import FOLDER, Logs, trim
from photodouble.training.task import Budget, Pace, Saved

OFTEN = Pace(tick=0, evaluate=0, save=0, evaluate_share=1e9, save_share=1e9)


def masked(data: bytes) -> int:
    """TensorFlow's `record_writer.h`: the checksum is rotated by 15 bits and moved by a constant."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read(path: Path) -> list[Event]:
    data, at, events = path.read_bytes(), 0, []
    while at < len(data):
        length, check = struct.unpack_from("<QI", data, at)
        assert masked(data[at : at + 8]) == check
        body = data[at + 12 : at + 12 + length]
        assert len(body) == length and struct.unpack_from("<I", data, at + 12 + length) == (masked(body),)
        events.append(Event.FromString(body))
        at += 16 + length
    return events


def files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).iterdir())


def test_losses_rates_and_held_out_figures_are_written(tmp_path: Path) -> None:
    list(fit(Toy(), tmp_path / "m", Budget(images=20), seed=3, pace=OFTEN))
    (path,) = files(tmp_path / "m")
    assert path.name.startswith("events.out.tfevents.")
    events = read(path)
    assert events[0].file_version == "brain.Event:2"
    rows = [(event.step, value.tag, value.simple_value) for event in events for value in event.summary.value]
    assert {tag for _, tag, _ in rows} == {"loss/total", "speed/images", "rate", "held_out/ssim"}
    assert [step for step, tag, _ in rows if tag == "loss/total"] == [4, 8, 12, 16, 20]
    assert all(value > 0 for _, tag, value in rows)


def test_a_continued_run_writes_beside_what_the_killed_one_left(tmp_path: Path) -> None:
    going = fit(Toy(), tmp_path / "m", Budget(images=40), seed=3, pace=OFTEN)
    for event in going:
        if isinstance(event, Saved) and event.images == 20:
            break
    going.close()
    (first,) = files(tmp_path / "m")
    whole = first.read_bytes()
    first.write_bytes(whole[:-7])  # killed in the middle of a record
    list(fit(Toy(), tmp_path / "m", Budget(images=40), seed=3, pace=OFTEN))
    old, new = files(tmp_path / "m")
    assert old == first and len(read(old)) == len(read_bytes(whole, tmp_path)) - 1
    events = read(new)
    assert events[1].session_log.status == SessionLog.START and events[1].step == 21
    assert [event.step for event in events if event.summary.value and event.summary.value[0].tag == "loss/total"] == [
        24, 28, 32, 36, 40,
    ]  # fmt: skip


def read_bytes(data: bytes, folder: Path) -> list[Event]:
    (folder / "copy").write_bytes(data)
    return read(folder / "copy")


@pytest.mark.parametrize("junk", [b"", b"\0" * 40, b"\x07", b"\x20" + b"\0" * 7 + b"abcd" + b"x" * 20, b"\xff" * 30])
def test_what_is_no_record_is_cut_off(tmp_path: Path, junk: bytes) -> None:
    logs = Logs(tmp_path, 0)
    logs.add(4, {"loss/total": 0.5})
    logs.close()
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + junk)
    trim(path)
    assert path.read_bytes() == whole


def test_nothing_to_write_leaves_no_file(tmp_path: Path) -> None:
    Logs(tmp_path, 0).close()
    assert not (tmp_path / FOLDER).exists()


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(BadInput, match=FOLDER):
        Logs(tmp_path, 0).add(4, {"loss/total": 0.5})
