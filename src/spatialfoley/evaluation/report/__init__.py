"""Figures as files that people read: tables, pictures, players."""
