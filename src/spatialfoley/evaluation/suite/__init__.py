"""The synthetic world as a test: held-out clips, systems, scores, figures."""
