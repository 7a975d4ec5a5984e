"""In a checkout: load the plugin that an installed meshdrill registers by its entry point, unless it is loaded."""

pytest_plugins = ["drills.plugin"]
