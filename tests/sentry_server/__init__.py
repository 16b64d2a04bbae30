"""A loopback server that answers the documented operations of Sentry's Web API which the audit asks.

Written from the API's published schema (github.com/getsentry/sentry-api-schema) and from the documents on pagination and
rate limits: paths, scopes, status codes, cursors, and the fields of the answers. It answers GET alone, as the audit reads.
"""
