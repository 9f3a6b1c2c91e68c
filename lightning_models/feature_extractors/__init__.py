"""Networks whose features say how alike images are."""
