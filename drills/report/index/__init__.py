"""All runs under a folder: the table of drills and meshes."""
