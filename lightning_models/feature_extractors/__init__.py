"""Feature extractors: networks whose features measure generated images."""
