"""Front ends: their packages, what loads their files, how Sentry is initialised, and what stands in front of it."""
