"""Which frames of a clip are meant."""

import re

from photodouble.errors import BadInput

_ITEM = re.compile(r"(\d+)(?:-(\d+))?$")


def parse_frames(text: str, total: int) -> list[range]:
    """Read frames like "100,250-260": numbers from 0, ranges with both ends, in any order.

    Args:
        total: how many frames the clip has, as far as is known; 0 for unknown.

    Returns:
        Ranges in the order of frames that neither touch nor overlap.

    Raises:
        BadInput: it is something else, a range goes backwards, or a frame lies beyond the clip's end.
    """
    found = []
    for item in text.split(","):
        match = _ITEM.match(item.strip())
        if match is None:
            raise BadInput(f"Cannot read the frames {text!r}: give numbers and ranges like 100,250-260.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise BadInput(f"The range {first}-{last} goes backwards: give the first frame first.")
        if total and last >= total:
            raise BadInput(f"There is no frame {last}: the clip's last one is {total - 1}.")
        found.append(range(first, last + 1))
    return merged(found)


def merged(ranges: list[range]) -> list[range]:
    """The same frames as ranges in order that neither touch nor overlap."""
    result: list[range] = []
    for item in sorted(ranges, key=lambda one: one.start):
        if result and item.start <= result[-1].stop:
            result[-1] = range(result[-1].start, max(result[-1].stop, item.stop))
        elif len(item):
            result.append(item)
    return result
