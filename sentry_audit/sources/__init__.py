"""The reading edge: where facts come from."""
