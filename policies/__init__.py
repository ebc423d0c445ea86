"""Who may do what: Cedar files that each organisation owns, and the engine that answers from them.

Knows facts, not tables: nothing here reads a database, a clock or a request. See docs/policies/README.md.
"""
