"""Clips in, training arrays out."""
