"""Who allowed what: consent records and the policy gate that stages ask before they work."""

from photodouble.consent.record import (
    BASES,
    ConsentRecord,
    add_record,
    check_name,
    digest,
    earlier_records,
    read_record,
    records,
    require,
)

__all__ = [
    "BASES",
    "ConsentRecord",
    "add_record",
    "check_name",
    "digest",
    "earlier_records",
    "read_record",
    "records",
    "require",
]
