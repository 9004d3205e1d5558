"""Figures of a training as TensorBoard reads them: `tensorboard --logdir models` shows all models side by side.

Each run, and each continuation of one, writes a file of its own, whole records at a time; a kill can cut only the last
one. A continuation says at which picture it begins, so that TensorBoard drops what the killed run wrote beyond that.
"""

import os
import struct
import time
from pathlib import Path

from tensorboardX import RecordWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from photodouble.files import explain

FOLDER = "logs"
NAME = "events.out.tfevents"
HEAD, TAIL = 12, 4  # bytes of a record before and after its contents: length and its checksum, checksum


class Logs:
    """Writes scalars into `folder/logs`; the step is the number of pictures seen, `seen` of them before this run.

    Nothing is there before the first one.
    """

    def __init__(self, folder: Path, seen: int) -> None:
        self.folder, self.seen = folder / FOLDER, seen
        self.writer: RecordWriter | None = None

    def add(self, images: int, figures: dict[str, float]) -> None:
        """Write figures by name, like `loss/total`.

        Raises:
            BadInput: the disk refuses.
        """
        try:
            writer = self.writer or self._open()
            values = [Summary.Value(tag=key, simple_value=value) for key, value in figures.items()]
            event = Event(wall_time=time.time(), step=images, summary=Summary(value=values))
            writer.write(event.SerializeToString())
            writer.flush()
        except OSError as error:
            raise explain(error, self.folder) from error

    def close(self) -> None:
        """Done."""
        if self.writer:
            self.writer.close()

    def _open(self) -> RecordWriter:
        self.folder.mkdir(exist_ok=True)
        old = sorted(self.folder.glob(f"{NAME}.*"))
        for path in old:
            trim(path)
        # seconds first: TensorBoard reads a folder's files in the order of their names
        self.writer = RecordWriter(str(self.folder / f"{NAME}.{int(time.time())}.{len(old):04d}"))
        for event in (
            Event(wall_time=time.time(), file_version="brain.Event:2"),
            Event(wall_time=time.time(), step=self.seen + 1, session_log=SessionLog(status=SessionLog.START)),
        ):
            self.writer.write(event.SerializeToString())
        return self.writer


def trim(path: Path) -> None:
    """Cut off what a kill or a power cut left of a record at the end of an event file."""
    data = path.read_bytes()
    end = 0
    while end + HEAD <= len(data):
        (length,) = struct.unpack_from("<Q", data, end)
        if length == 0 or end + HEAD + length + TAIL > len(data):
            break
        end += HEAD + length + TAIL
    if end < len(data):
        os.truncate(path, end)
