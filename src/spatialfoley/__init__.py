"""Silent video in, spatial audio out."""
