"""The third-party files photodouble uses: what they are, whose, and which bytes exactly."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Weight:
    """One file inside a published package.

    Attributes:
        name: what the rest of photodouble calls it.
        package, version, member: where pip finds it; `member` is the path inside the wheel.
        inner: name inside `member` when that is itself a zip archive, else empty.
        sha256: of the wheel's member.
        size: bytes of the wheel's member.
        licence, origin: SPDX identifier or name, and who published the file first.
    """

    name: str
    package: str
    version: str
    member: str
    sha256: str
    size: int
    licence: str
    origin: str

    @property
    def filename(self) -> str:
        """Name of the file in the cache: that of the wheel's member."""
        return self.member.rsplit("/", 1)[-1]
