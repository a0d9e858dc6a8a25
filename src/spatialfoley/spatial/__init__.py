"""Sound-field maths, no learning and no files: directions, fields, maps, ears, loudspeakers, views."""
