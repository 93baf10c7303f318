"""The pipeline: steps as data and the executor that runs them."""
