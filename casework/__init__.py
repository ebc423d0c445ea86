"""Case management for organisations that share a centre and must not see each other's records."""
