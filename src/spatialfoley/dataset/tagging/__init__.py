"""Labels of clips by networks that users install."""
