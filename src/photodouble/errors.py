"""What can go wrong, as three kinds that a front end turns into an exit status.

Every message is one sentence that names the file (and the frame, where there is one) and the remedy.
"""


class PhotodoubleError(Exception):
    """A fault of ours, exit status 1."""

    exit_status = 1


class BadInput(PhotodoubleError):
    """The input or the machine (disk, permissions, network) does not allow the work, exit status 2."""

    exit_status = 2


class Refused(PhotodoubleError):
    """Consent or policy does not allow the work, exit status 3."""

    exit_status = 3
