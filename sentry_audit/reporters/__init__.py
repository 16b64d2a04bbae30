"""Report to text, pure: one module per format, each exporting REPORTER."""
