"""How BiAudio is made: where sound comes from, how the camera turns, what ears hear (ViSAudio, appendix A)."""
