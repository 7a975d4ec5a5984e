"""Load the plugin in a checkout that is not installed; an installed meshdrill registers it by its entry point."""

pytest_plugins = ["drills.plugin"]
