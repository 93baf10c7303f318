"""A linter of English: docstrings, comments, messages, names, contracts and documents against a list of phrases."""
