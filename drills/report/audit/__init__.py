"""The audit of one edge of a stored run at one instant."""
