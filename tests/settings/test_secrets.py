"""No secret is shown: not by a value, a fault, or the command line, wherever it came from."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from amends.settings import DatabaseUrl, Secret, Settings, Url, examine
from amends.settings.database_url import read_database_url
from amends.settings.kinds import Wrong
from amends.settings.secret import holds_password, masked

HIDDEN = "hunter2-hunter2-hunter2"

EVERYWHERE = f"""\
server:
  api-keys: [{HIDDEN}]
  public-url: https://u:{HIDDEN}@here
eureka:
  default-zone: ["http://u:{HIDDEN}@eureka/eureka", "http://e?token={HIDDEN}"]
kafka:
  username: u
  password: {HIDDEN}
  schema-registry-url: http://:{HIDDEN}@registry
database:
  url: jdbc:postgresql://u:{HIDDEN}@db/x?password={HIDDEN}&sslpassword={HIDDEN}
  password: {HIDDEN}
redis:
  password: {HIDDEN}
microservices:
  a: https://u:{HIDDEN}@a
  b:
    url: https://b?api_key={HIDDEN}
    headers: {{Authorization: Bearer {HIDDEN}, X: {HIDDEN}}}
"""


def test_no_secret_is_in_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(EVERYWHERE)
    examined = examine(str(tmp_path / "a.yaml"), {})
    settings = examined.use()
    shown = [repr(settings), str(settings), f"{settings}", str(asdict(settings)), repr(examined)]
    shown += [f"{each.name} {each.text} {each.value} {each.value!r}" for each in examined.effective()]
    shown += map(str, examined.faults)
    assert HIDDEN not in "\n".join(shown)
    assert settings.database.password is not None
    assert settings.database.password.reveal() == HIDDEN
    assert settings.microservices["a"].url.text.count(HIDDEN) == 1
    assert settings.microservices["b"].headers["Authorization"].reveal() == f"Bearer {HIDDEN}"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("database: {url: 'postgresql//u:hunter2@db/x'}", "hunter2"),
        ("database: {url: 'mysql://u:hun@ter2:/x@db/x'}", "ter2"),
        ("database: {url: 'jdbc:oracle:thin:scott/hunter2@//db:1521/x'}", "hunter2"),
        ("database: {url: 'postgresql://u:hunt er2@db:99999/x'}", "er2"),
        ("database: {url: 'jdbc:postgresql://db/?password=hunter2'}", "hunter2"),
        ("eureka: {default-zone: 'ftp://u:hunter2@e'}", "hunter2"),
        ("redis: {password: [hunter2]}", "hunter2"),
        ("redis: {password: 1234567}", "1234567"),
        ("server: {api-keys: [hunter2]}", "hunter2"),
        ("server: {port: '${PORT}'}", "hunter2"),
        ('microservices: {a: {url: http://a, headers: {A: "hunter2\\t\\x01"}}}', "hunter2"),
        ('redis: {password: "hunter2\\n"}', "hunter2"),
    ],
)
def test_no_secret_is_in_a_fault(text: str, hidden: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    examined = examine(str(tmp_path / "a.yaml"), {"PORT": "hunter2"})
    assert examined.settings is None
    assert hidden not in "\n".join(map(str, examined.faults))


@pytest.mark.parametrize(
    "name", ["SPRING_DATASOURCE_URL", "AMENDS_SERVER_API_KEYS", "AMENDS_EUREKA_DEFAULT_ZONE"]
)
def test_no_secret_is_in_a_fault_of_the_environment(name: str) -> None:
    examined = examine(None, {name: "x://u:hunter2@h"})
    assert examined.settings is None
    assert "hunter2" not in "\n".join(map(str, examined.faults))


LITERAL: Mapping[str, bool] = {
    "redis: {password: hunter2}": True,
    "redis: {password: '${PW}'}": False,
    "redis: {password: '${PW:hunter2}'}": False,
    "redis: {password: '${NOT:hunter2}'}": True,
    "redis: {password: '${NOT:}'}": False,
    "database: {url: 'postgresql://u:hunter2@h/d'}": True,
    "database: {url: 'postgresql://u:${PW}@h/d'}": False,
    "database: {url: 'postgresql://u@h/d'}": False,
    "database: {url: 'postgresql://h/d?user=u&password=hunter2'}": True,
    "database: {url: 'postgresql://h/d?user=u&password=${PW}'}": False,
    "microservices: {a: {url: 'http://a', headers: {Authorization: 'Bearer ${PW}'}}}": False,
    "microservices: {a: {url: 'http://a', headers: {Authorization: Bearer x}}}": True,
    "microservices: {a: {url: 'http://a', headers: {Accept-Language: en}}}": False,
}


@pytest.mark.parametrize("text", LITERAL)
def test_a_secret_that_stands_in_the_file_is_a_warning(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    examined = examine(str(tmp_path / "a.yaml"), {"PW": "hunter2"})
    assert examined.settings is not None
    assert [fault.severity for fault in examined.faults] == ["warning"] * LITERAL[text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://a", "http://a"),
        ("http://u@a", "http://u@a"),
        ("http://u:p@a", "http://u:***@a"),
        ("http://u:@a", "http://u:***@a"),
        ("http://u:p@q:/?r@a", "http://u:***@a"),
        ("jdbc:postgresql://u:p@a/d", "jdbc:postgresql://u:***@a/d"),
        ("http://u/p@a", "http://***@a"),
        ("u:p@a", "***@a"),
        ("http://a?x=1&password=p&y=2", "http://a?x=1&password=***&y=2"),
        ("http://a?ACCESS_TOKEN=p q;api-key=r", "http://a?ACCESS_TOKEN=***;api-key=***"),
        ("http://a,http://u:p@b", "http://a,http:***@b"),
    ],
)
def test_addresses_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown
    assert holds_password(text) == (shown != text and "u:@a" not in text and text != "u:p@a")


def test_a_secret_is_compared_and_not_shown() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert f"{Secret('abc')} {Secret('abc')!r}" == "*** Secret('***')"
    assert f"{Url('http://u:p@a')} {Url('http://u:p@a')!r}" == "http://u:***@a Url('http://u:***@a')"


# --- database addresses -------------------------------------------------------------------------------------------


def postgresql(**more: object) -> DatabaseUrl:
    return DatabaseUrl(kind="postgresql", host="db", name="x", **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a.db", DatabaseUrl(kind="sqlite", path="a.db")),
        ("./a", DatabaseUrl(kind="sqlite", path="./a")),
        ("sqlite:a", DatabaseUrl(kind="sqlite", path="a")),
        ("jdbc:sqlite:/a/b c.db", DatabaseUrl(kind="sqlite", path="/a/b c.db")),
        ("memory:", DatabaseUrl(kind="memory")),
        ("postgresql://db/x", postgresql()),
        ("postgres://db:5433/x", postgresql(port=5433)),
        ("jdbc:postgresql://db:5432/x", postgresql()),
        ("postgresql://u@db/x", postgresql(username="u")),
        ("postgresql://u:p%40%2F@db/x", postgresql(username="u", password=Secret("p@/"))),
        ("jdbc:postgresql://db/x?user=u&password=p%26", postgresql(username="u", password=Secret("p&"))),
        ("postgresql://db/x?a=1&b=", postgresql(options=(("a", Secret("1")), ("b", Secret(""))))),
        ("postgresql://[::1]/x", DatabaseUrl(kind="postgresql", host="::1", name="x")),
        ("postgresql:///x?host=db&a=1", postgresql(options=(("a", Secret("1")),))),
        (
            "postgresql://u@/x?host=/run/pg&port=6000",
            DatabaseUrl(kind="postgresql", host="/run/pg", port=6000, name="x", username="u"),
        ),
        ("postgresql:///?host=/run/pg&dbname=x", DatabaseUrl(kind="postgresql", host="/run/pg", name="x")),
    ],
)
def test_database_addresses_are_read_in_all_their_forms(text: str, read: DatabaseUrl) -> None:
    assert read_database_url(text) == read
    if read.password is None:
        assert read_database_url(str(read)) == read


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "postgresql", "postgresql:db", "postgresql:/db/x", "postgresql//db/x", "postgresql:///x",
        "postgresql://db", "postgresql://db/", "postgresql://db/x/y", "postgresql://db:0/x", "postgresql://db:99999/x",
        "postgresql://db:a/x", "postgresql://d b/x", "postgresql://db/x#y", "postgresql://db/x?a=1&a=2",
        "postgresql://u@/x", "postgresql:///x?host=", "postgresql:///x?host=d b", "postgresql:///?host=/run/pg",
        "postgresql:///x?host=/run/pg&port=0", "postgresql:///x?host=/run/pg&port=a", "postgresql:///x?host=a,b",
        "postgresql://[::1/x", "jdbc:postgresql:x", "jdbc:mysql://db/x", "mysql://db/x", "sqlite:", "sqlite://a",
        "sqlite:///a", ":memory:", "sqlite::memory:", "memory:x", "a/", "a\n.db", "a:b.db", "a@b.db", "a/" * 3_000,
    ],
)  # fmt: skip
def test_a_database_address_with_a_slip_is_refused(text: str) -> None:
    with pytest.raises(Wrong):
        read_database_url(text)


def test_credentials_beside_the_address(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "database: {url: 'postgresql://u:p@h/d', username: v, password: '${PW}'}"
    )
    said = [str(each).partition(": ")[2] for each in examine(str(tmp_path / "a.yaml"), {"PW": "q"}).faults]
    assert said == [
        "warning: database.url: a secret stands in the file; write ${NAME} and set that variable",
        "warning: database.username wins over the one in database.url",
        "warning: database.password wins over the one in database.url",
    ]
    (fault,) = examine(None, {"SPRING_DATASOURCE_PASSWORD": "q"}).faults
    assert fault.message == "database.password is not used: database.url is not PostgreSQL"
    assert Settings().database.url.path == "amends.db"
