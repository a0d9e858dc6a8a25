"""Networks that listen and watch: embeddings, class posteriors and synchrony."""
