"""Keys and sealed bytes: no domain, no database, no HTTP, no clock.

Organisations, rows, members and cases are ids of 16 raw bytes; groups (compartments) are opaque ASCII labels;
times are passed in as whole seconds. Byte formats: docs/architecture/keys.md.
"""
