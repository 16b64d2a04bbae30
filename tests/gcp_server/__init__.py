"""A loopback server that speaks the protocols of Google Cloud: Secret Manager v1, Cloud Run Admin v2 and IAM policies.

``state`` is the world it answers from, ``server`` serves it, ``world`` reads it from a YAML file.
"""
