"""The REST client behind `onevoice dub` and `onevoice status`."""
