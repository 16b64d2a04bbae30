"""Text to facts, pure: one module per language or file format."""
