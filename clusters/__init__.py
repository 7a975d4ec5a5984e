"""Host, images, clusters, meshes and the lab. Never imports drills."""
