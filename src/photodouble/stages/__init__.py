"""One module for each stage: a typed config in, an iterator of events out."""
