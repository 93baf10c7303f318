"""Everything done to media: probe, extract, thumbnail, mix, mux."""
