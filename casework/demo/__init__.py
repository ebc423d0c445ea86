"""The demo: fictional data on a fresh embedded database, and a walk through the main job over HTTP."""
