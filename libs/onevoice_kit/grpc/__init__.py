"""How services speak to each other: server, client, deadlines, errors, long calls."""
