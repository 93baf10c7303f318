"""The `onevoice` command: a REST client of any deployment, and the launcher that runs everything on one machine."""
