"""The queue port and its adapters: `outbox` (a table) and `sqs`, with the relay between them."""
