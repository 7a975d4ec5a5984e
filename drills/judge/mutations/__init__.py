"""Would the claims notice? Stored histories with one thing changed, and which claims stop passing."""
