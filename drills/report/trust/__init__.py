"""Whether a bundle is what the harness wrote, and says what its history says."""
