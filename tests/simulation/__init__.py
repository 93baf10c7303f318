"""The orchestrator on a simulated machine: virtual time, a network with faults, workers that die; all from one seed."""
