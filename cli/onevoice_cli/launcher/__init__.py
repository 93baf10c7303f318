"""Runs the seven services, PostgreSQL and (on request) a stand-in for AWS as child processes of one command."""
