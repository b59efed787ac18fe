"""`streamer config`: the settings in effect with their origin, or a file with all of them."""

from __future__ import annotations

import sys
from itertools import groupby

from streamer.commands.config_origin import effective
from streamer.commands.config_template import template as render_template
from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.terminal import shown
from streamer.config import load_settings


def config(*, config: ConfigFile = None, template: bool = False) -> int:
    """Show every setting in effect, and where it comes from. Secrets are not shown.

    Args:
        config: TOML file with settings.
        template: Print a TOML file with every setting, its meaning and its default instead.
    """
    if template:
        sys.stdout.write(render_template())
        return 0
    settings = [
        each._replace(value=shown(each.value)) for each in effective(load_settings(config), config)
    ]
    names = max(len(each.field) for each in settings)
    values = max(len(each.value) for each in settings)
    for section, fields in groupby(settings, key=lambda each: each.section):
        sys.stdout.write(f"[{section}]\n")
        for each in fields:
            sys.stdout.write(f"  {each.field:<{names}}  {each.value:<{values}}  {each.origin}\n")
    return 0
