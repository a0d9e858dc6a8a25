"""Recordings brought here from the network: asked for, proven to be what is wanted, downloaded, checked."""
