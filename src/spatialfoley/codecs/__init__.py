"""Codecs: waveforms to tokens and back."""
