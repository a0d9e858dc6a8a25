"""ViSAudio and the MMAudio networks it starts from: video and text to the latents of one or more channels."""
