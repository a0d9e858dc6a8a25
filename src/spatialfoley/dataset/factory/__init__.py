"""The engine of the dataset factory: records through stages into shards, at any scale, killed at any moment."""
