"""Files in, files out: pictures by time stamp, ambisonic sound, and the two muxed together."""
