"""Captions of clips: two models that are asked one after the other, how their answers are read, and exact ones."""
