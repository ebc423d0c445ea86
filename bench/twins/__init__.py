"""The same pages without sealing, policies or journal, each in the way its framework is usually written."""
