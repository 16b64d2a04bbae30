"""Boots an application against a receiver on this machine, and proves on the wire that its errors would reach Sentry."""
