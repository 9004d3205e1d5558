"""What HDR footage says of the screen it was graded on, and how encoders are told."""

import struct
from dataclasses import dataclass
from typing import Any, cast

import av
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class Light:
    """Mastering display (SMPTE ST 2086) and content light level (CTA-861.3) of a video.

    Attributes:
        primaries: x and y of red, green, blue and white in 1/50000, 8 numbers; empty if not said.
        luminance: brightest and darkest in 1/10000 cd/m2; empty if not said.
        content: brightest pixel and brightest mean of a frame, cd/m2; empty if not said.
    """

    primaries: tuple[int, ...] = ()
    luminance: tuple[int, ...] = ()
    content: tuple[int, ...] = ()

    def mastering(self) -> str:
        """The mastering display as x264 and x265 are told it; "" unless all of it is known."""
        if not self.primaries or not self.luminance:
            return ""
        rx, ry, gx, gy, bx, by, wx, wy = self.primaries
        low = f"L({self.luminance[0]},{self.luminance[1]})"
        return f"G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy}){low}"


def of_frame(frame: av.VideoFrame) -> Light | None:
    """What a decoded frame says; None if nothing.

    The layouts are those of FFmpeg's AVMasteringDisplayMetadata (ten fractions: primaries, white, darkest, brightest;
    two flags) and AVContentLightMetadata (two unsigned numbers).
    """
    primaries: tuple[int, ...] = ()
    luminance: tuple[int, ...] = ()
    content: tuple[int, ...] = ()
    for data in frame.side_data:
        raw = bytes(cast(Any, data))
        kind = getattr(data, "type", None)
        if kind is Type.MASTERING_DISPLAY_METADATA and len(raw) >= 88:
            values = struct.unpack("22i", raw[:88])
            parts = [top / bottom if bottom else 0.0 for top, bottom in zip(values[:20:2], values[1:20:2], strict=True)]
            if values[20]:
                primaries = tuple(round(part * 50_000) for part in parts[:8])
            if values[21]:
                luminance = (round(parts[9] * 10_000), round(parts[8] * 10_000))
        elif kind is Type.CONTENT_LIGHT_LEVEL and len(raw) >= 8:
            content = struct.unpack("2I", raw[:8])
    found = Light(primaries, luminance, content)
    return found if found != Light() else None


def options(encoder: str, light: Light) -> dict[str, str]:
    """FFmpeg options with which `encoder` writes it; empty where that encoder cannot."""
    mastering = light.mastering()
    content = ",".join(str(value) for value in light.content)
    if encoder == "libx265":
        told = [f"master-display={mastering}" if mastering else "", f"max-cll={content}" if content else ""]
        return {"x265-params": ":".join(["hdr10=1", "repeat-headers=1", *filter(None, told)])}
    if encoder == "libx264":
        told = [f"mastering-display={mastering}" if mastering else "", f"cll={content}" if content else ""]
        return {"x264-params": ":".join(filter(None, told))}
    return {}
