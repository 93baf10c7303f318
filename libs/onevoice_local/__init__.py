"""A whole deployment's infrastructure on one machine: an embedded PostgreSQL and stand-ins for S3 and SQS."""
