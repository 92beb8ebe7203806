"""Pulpo's own commands: where each is, and the line that help shows for it."""

from __future__ import annotations

from pulpo.cli.tree import Entry, module_entry

_COMMANDS = {
    "cli": ("project", "app", "Set up a project."),
    "new": ("new", "app", "Add a model or an operation to the project."),
    "check": ("check", "check", "Report a project's problems. Writes nothing."),
    "plan": ("plan", "plan", "Show in which order the steps of flows run, what runs side by side, and why."),
    "compile": ("compile", "compile_project", "Generate API, commands, flows, graphs and deployment files."),
    "eject": ("eject", "eject", "Copy a generated file to overrides/, where it is yours to edit."),
    "dev": ("dev", "dev", "Serve the API, and compile and restart it whenever a file is saved."),
    "up": ("up", "up", "Start the project's services and wait until they are healthy."),
    "down": ("down", "down", "Stop the project's services."),
    "status": ("status", "status", "Show the project's services."),
    "logs": ("logs", "logs", "Show the services' last lines, of stopped ones too."),
    "explain": ("explain", "explain", "Tell what an error code means, and what to do about it."),
    "doctor": ("doctor", "doctor", "Check this machine and the project's set-up."),
    "db": ("db", "app", "Work with the project's database."),
    "runs": ("runs", "app", "Look at runs and act on them."),
    "flows": ("flows", "app", "List flows, run them, now or by the clock."),
    "bench": ("bench", "bench", "Measure how fast the running project works."),
    "worker": ("worker", "worker", "Run flows in this process until it is told to stop."),
    "serve": ("serve", "serve", "Serve the API in the foreground."),
}


def entries() -> dict[str, Entry]:
    """Pulpo's commands, in the order in which help lists them."""
    return {
        name: module_entry(f"pulpo.cli.{module}", attribute, line)
        for name, (module, attribute, line) in _COMMANDS.items()
    }
