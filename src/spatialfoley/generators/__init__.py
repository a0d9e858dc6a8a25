"""Generators: conditions in, tokens or latents out. Each is a network, an objective and a sampler."""
