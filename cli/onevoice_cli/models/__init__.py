"""`onevoice models`: the models for the engine `ct2`, fetched from a model hub."""
