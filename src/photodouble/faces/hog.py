"""The first detector of its kind, kept to be measured against: dlib's HOG, in the extra `hog`."""

import numpy as np

from photodouble import weights
from photodouble.errors import BadInput
from photodouble.faces.detect import Detection, register


@register("hog")
class Hog:
    """dlib's frontal face detector (King 2009; histograms of oriented gradients), with its 68-point predictor.

    The predictor's training data (iBUG 300-W) excludes commercial use.
    """

    def __init__(self, upsample: int = 1) -> None:
        """Load it.

        Args:
            upsample: how often the picture is doubled before it is searched; 0 finds faces from about 80 pixels on,
                1 from about 40, at four times the cost.

        Raises:
            BadInput: dlib is not installed.
        """
        try:
            import dlib  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise BadInput("The detector 'hog' needs dlib: install it with 'pip install photodouble[hog]'.") from error
        self._search = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(weights.path("dlib_68")))
        self._upsample = upsample

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Faces in `image` (H x W x 3 RGB uint8), best first."""
        image = np.ascontiguousarray(image)
        boxes, scores, _ = self._search.run(image, self._upsample, 0.0)
        found = []
        for box, score in zip(boxes, scores, strict=True):
            shape = self._predict(image, box)
            all_points = np.array([(p.x, p.y) for p in shape.parts()], np.float32)
            eyes = all_points[36:42].mean(0), all_points[42:48].mean(0)
            points = np.stack([*eyes, all_points[30], all_points[48], all_points[54]])
            corners = np.array([box.left(), box.top(), box.right(), box.bottom()], np.float32)
            found.append(Detection(corners, float(1 / (1 + np.exp(-score))), points))
        return sorted(found, key=lambda one: -one.score)
