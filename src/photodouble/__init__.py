"""photodouble: put the actor's face on the photo double, with consent on record and every output marked."""

__version__ = "0.1.0"
