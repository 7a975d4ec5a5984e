"""Mutation testing of claims: change one thing in a stored history, and see which claims stop passing."""
