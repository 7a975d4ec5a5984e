"""A place to run: host, images, clusters, meshes and the lab. Never imports drills."""
