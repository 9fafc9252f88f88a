"""The settings of a verb that runs on a store itself: the file, the environment, and what the command line says.

Rules: what the command line says wins, and is checked by the same rules. It needs PyYAML, so a verb imports it late.
It does not: judge values (`amends.settings` does).
"""

import dataclasses
import os
import sys

from amends.delivery.cli.faults import Unusable
from amends.settings import Settings, config_file, examine
from amends.settings.agreement import disagreements
from amends.settings.database_url import read_database_url
from amends.settings.kinds import Wrong, host as host_kind


def settings_at(config: str | None) -> Settings:
    """Return the settings that hold, by `--config FILE` or without; what is wrong is said on standard error.

    Raises:
        Unusable: they cannot be used.
    """
    examined = examine(config_file(config, os.environ), os.environ)
    for fault in examined.faults:
        print(fault, file=sys.stderr)
    if examined.settings is None:
        errors = sum(fault.severity == "error" for fault in examined.faults)
        raise Unusable(
            f"the configuration cannot be used: {errors} error{'s' if errors > 1 else ''}, see above"
        )
    return examined.settings


def with_options(
    settings: Settings, *, store: str | None = None, host: str | None = None, port: int | None = None
) -> Settings:
    """Return `settings` with what the command line says instead.

    Raises:
        Unusable: that cannot be.
    """
    server, database = settings.server, settings.database
    option = "--store"
    try:
        if store is not None:
            database = dataclasses.replace(database, url=read_database_url(store))
        option = "--host"
        if host is not None:
            server = dataclasses.replace(server, host=host_kind().read(host))
    except Wrong as wrong:
        raise Unusable(f"{option}: {wrong}") from wrong
    if port is not None:
        server = dataclasses.replace(server, port=port)
    settings = dataclasses.replace(settings, server=server, database=database)
    for fault in disagreements(settings, {}):
        if fault.severity == "error":
            raise Unusable(fault.message)
    return settings
