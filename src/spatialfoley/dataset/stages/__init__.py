"""What is done to records: one file a stage. A stage's file holds its settings and its work, named ``STAGE``."""
