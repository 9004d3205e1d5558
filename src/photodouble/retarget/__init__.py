"""One person's performance in another person's geometry."""

from photodouble.retarget.library import know_faces
from photodouble.retarget.mesh import REGIONS, Wanted, compare, paths, render, target_features, targets
from photodouble.retarget.shape import Proportions
from photodouble.retarget.shot import Shot, plan_shot
from photodouble.retarget.smooth import smooth

__all__ = [
    "REGIONS",
    "Proportions",
    "Shot",
    "Wanted",
    "compare",
    "know_faces",
    "paths",
    "plan_shot",
    "render",
    "smooth",
    "target_features",
    "targets",
]
