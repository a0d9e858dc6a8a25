"""Sound-field maths without learning and without files: directions, fields, maps, ears, loudspeakers, views."""
