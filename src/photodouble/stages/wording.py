"""The quality figures in words, for front ends."""

from photodouble.evaluation.wording import Shown, shown, targets, verdict

__all__ = ["Shown", "shown", "targets", "verdict"]
