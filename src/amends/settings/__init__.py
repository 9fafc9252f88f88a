"""Settings: every value that an operator may choose, typed, with its default, its range and its documentation.

Rules: environment over file over default. What is not known is refused; what is wrong is said with its place, all at
once. A secret is shown as `***` everywhere. Reading a file needs the `server` extra (PyYAML).
They do not: act. Who is given `Settings` acts on them.
"""

from amends.settings.database_url import DatabaseUrl
from amends.settings.load import Effective, Examined, config_file, examine, load
from amends.settings.model import (
    Database,
    Eureka,
    Kafka,
    Log,
    Microservice,
    Redis,
    Retry,
    SagaDefaults,
    Server,
    Settings,
    Topics,
)
from amends.settings.origin import Fault, Origin, SettingsInvalid
from amends.settings.secret import Secret, Url

__all__ = [
    "Database",
    "DatabaseUrl",
    "Effective",
    "Eureka",
    "Examined",
    "Fault",
    "Kafka",
    "Log",
    "Microservice",
    "Origin",
    "Redis",
    "Retry",
    "SagaDefaults",
    "Secret",
    "Server",
    "Settings",
    "SettingsInvalid",
    "Topics",
    "Url",
    "config_file",
    "examine",
    "load",
]
