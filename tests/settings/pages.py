"""The pages about settings, made from the model: the documentation and the example file.

python -m tests.settings.pages        writes docs/configuration.md and src/amends/settings/application.yaml
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from amends.settings.catalogue import DEFAULTS
from amends.settings.keys import ANY, Key, Section, walk
from amends.settings.kinds import ListKind, MapKind
from amends.settings.reading import said

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"
EXAMPLE = ROOT / "src" / "amends" / "settings" / "application.yaml"
REGENERATE = "PYTHONPATH=src:. python -m tests.settings.pages"

HEAD = f"""\
<!-- Made from src/amends/settings/model.py by tests/settings/pages.py; after a change there: {REGENERATE} -->
# Configuration

The service is configured by a YAML file, by the environment, or by both. Every setting has a default: without
either it listens on `127.0.0.1:8095` and keeps sagas in `amends.db`. The file
[`application.yaml`](../src/amends/settings/application.yaml) has every key with its default, to copy from.

```sh
amends config check application.yaml     # what is wrong with it: every fault, one a line
amends config show application.yaml      # what holds, and where each value comes from
```

`check` exits 0 when the file can be used, 1 when not. Both look at the environment as the service does, and mask
secrets.

## Where values come from

The environment stands over the file, the file over the default. Without a file on the command line, `AMENDS_CONFIG`
names it, or else `SPRING_CONFIG_LOCATION`; `file:./custom.yaml` is `./custom.yaml`. An empty variable counts as not
set.

Our name of a variable is the key in capitals behind `AMENDS_`: `server.max-body-size` is
`AMENDS_SERVER_MAX_BODY_SIZE`. Where Spring has the same setting, its variable works as well, in each of the forms
that Spring takes; the tables have them all. If both are set and differ, ours wins, and a warning says so. A list is
written with commas. A variable that begins like one of our sections and names no setting is refused, save those
that Kubernetes adds for its services.

## The file

```yaml
server:
  host: 0.0.0.0
  api-keys: ["${{AMENDS_KEY}}"]
database:
  url: jdbc:postgresql://${{DB_HOST:localhost}}:5432/amends
  username: amends
  password: ${{DB_PASSWORD}}
microservices:
  inventory: http://inventory:8080/commands
  payments:
    url: https://payments.example/commands
    timeout: 10s
    headers:
      Authorization: Bearer ${{PAYMENTS_TOKEN}}
```

- *Faults* are `file:line:column: message`, all at once. An unknown key is refused with the nearest name; one that
  Spring calls otherwise, such as `spring.datasource.url`, with the name that it has here.
- *Words* are joined with `-`; `_` is taken as well.
- *Placeholders* are `${{NAME}}` and `${{NAME:default}}`, in values. NAME is a variable of the environment, and what
  it holds is taken as it is. A default may hold placeholders. `\\${{` is a dollar sign and a brace.
- *Durations* carry a unit: `250ms`, `30s`, `5m`, `2h`, `7d`, or ISO 8601: `PT30S`. *Sizes*: `512B`, `64KiB`,
  `1MiB`, `1GiB`.
- *The key decides the type.* What YAML 1.1 and 1.2 read differently (`no`, `012`, `12:30:45`) is refused with a
  hint; where a text is meant, write it in quotes.
- *Secrets* belong in the environment, or come from it by a placeholder. One that stands in the file is a warning.
- *Bounds*: 256 KiB, 20 levels, 5,000 values and keys, 100 aliases. UTF-8 without a byte order mark. Tags (`!!…`),
  merge keys (`<<`), duplicate keys and a second document are refused ([why](decisions/0010-yaml.md)).

## Settings
"""

TABLE = """
| key | default | allowed | what it is for | in the environment |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the documentation."""
    tables = (_heading(each) if isinstance(each, Section) else _row(each) for each in walk(DEFAULTS))
    return "".join([HEAD, *tables])


def _heading(section: Section) -> str:
    level = "#" * (2 + len(section.path))
    return f"\n{level} `{'.'.join(section.path)}`\n\n{section.doc}\n{TABLE}"


def _row(key: Key) -> str:
    name = key.name.replace(ANY, "NAME")
    variables = ", ".join(f"`{each.replace(ANY, 'NAME')}`" for each in key.variables)
    return f"| `{name}` | {_default(key)} | {said(key.kind)} | {key.doc} | {variables} |\n"


def _default(key: Key) -> str:
    if key.is_required:
        return "(required)"
    return f"`{key.kind.write(key.default)}`" if key.default else _nothing(key)


def _nothing(key: Key) -> str:
    return f"`{key.kind.write(key.default)}`" if isinstance(key.default, bool | int) else "(none)"


def example() -> str:
    """Return the example file: every key that has a default, with it; the others as comments."""
    return "".join(_example_lines())


def _example_lines() -> Iterator[str]:
    yield "# Every setting of the Amends service with its default. Copy what you change; leave out the rest.\n"
    yield f"# Made from src/amends/settings/model.py; after a change there: {REGENERATE}\n"
    for each in walk(DEFAULTS):
        depth = len(each.path) - 1
        indent = "  " * depth
        if isinstance(each, Section):
            yield "\n" + _comment(each.doc, indent) + f"{indent}{each.path[-1]}:\n"
        elif ANY not in each.path:
            yield _comment(each.doc, indent) + f"{indent}{_example_value(each)}\n"
        elif each.is_required:
            yield "  # inventory: http://localhost:8080/commands\n"


def _comment(text: str, indent: str) -> str:
    return "".join(f"{indent}# {line}\n" for line in textwrap.wrap(text, 110 - len(indent)))


def _example_value(key: Key) -> str:
    if key.default is None:
        return f"# {key.path[-1]}: {said(key.kind)}"
    if isinstance(key.kind, ListKind | MapKind):
        return f"{key.path[-1]}: {'[]' if isinstance(key.kind, ListKind) else '{}'}"
    return f"{key.path[-1]}: {key.kind.write(key.default)}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    EXAMPLE.write_text(example(), encoding="utf-8")
