"""Who allowed what: consent records and the policy gate that stages ask before they work.

`binding` (whose face it is) and `policy` (the gate) load networks' runtimes, so they are imported by name.
"""

from photodouble.consent.history import faults, in_force
from photodouble.consent.ledger import (
    add_record,
    bind,
    find,
    history,
    names,
    read_record,
    references,
    require,
    require_known,
    require_model,
    verify,
    withdraw,
)
from photodouble.consent.record import BASES, ConsentRecord, Picture, check_name, digest

__all__ = [
    "BASES",
    "ConsentRecord",
    "Picture",
    "add_record",
    "bind",
    "check_name",
    "digest",
    "faults",
    "find",
    "history",
    "in_force",
    "names",
    "read_record",
    "references",
    "require",
    "require_known",
    "require_model",
    "verify",
    "withdraw",
]
