"""Get images from the engine, an archive directory, a container registry, or a build."""
