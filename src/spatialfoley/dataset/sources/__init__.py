"""Where recordings come from: one file a source, each giving records of one schema."""
