"""The job domain that gateway and orchestrator share: tables, states, leases, checkpoints, events, object keys."""
