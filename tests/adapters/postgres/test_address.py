"""Addresses: every form, what is refused, and that no password is ever shown."""

import pytest

from amends.adapters.postgres import Address
from amends.settings.database_url import read_database_url

SECRET = "hunter2"


def test_every_form_leads_to_the_same_place() -> None:
    forms = (
        f"postgresql://ada:{SECRET}@db.example:6543/shop?schema=s1",
        f"postgres://ada:{SECRET}@db.example:6543/shop?schema=s1",
        f"jdbc:postgresql://db.example:6543/shop?user=ada&password={SECRET}&currentSchema=s1",
    )
    for form in forms:
        found = Address.of(form)
        assert (found.host, found.port, found.database) == ("db.example", 6543, "shop")
        assert (found.user, found.password, found.schema) == ("ada", SECRET, "s1")
        assert SECRET not in str(found) + repr(found)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://a%40b:{SECRET}%2F%25%20@[::1]:5433/s%20h?sslmode=require&schema=s1",
        f"jdbc:postgresql://db/shop?user=a%40b&password={SECRET}&currentSchema=s1&sslrootcert=/a%20b",
        "postgresql://db/shop",
        "postgresql://amends@/amends?host=/tmp/a_folder&port=50839",
        f"jdbc:postgresql:///shop?host=/run/p%20g&user=ada&password={SECRET}&schema=s1",
        "postgresql:///?host=/run/pg&dbname=shop",
        "postgresql:///shop?host=db.example&port=6000",
        "postgresql:///shop?host=::1",
        "postgresql://here/shop?host=there&port=",
        "postgresql://db:6543/shop?port=6000&dbname=else",
        "postgresql://db?dbname=shop",
        f"postgresql://ada:{SECRET}@db/shop?user=bob&password=else",
        "postgresql://db/s%2Fh",
    ],
)
def test_the_settings_address_leads_to_the_same_place(url: str) -> None:
    settings = read_database_url(url)
    assert Address.of(settings.reveal()) == Address.of(url)
    assert SECRET not in str(settings)


def test_what_is_not_said_has_a_default() -> None:
    found = Address.of("postgresql://db/shop")
    assert (found.port, found.user, found.password, found.schema) == (5432, None, None, "amends")
    assert found.tls_address is None
    assert str(found) == "postgresql://db:5432/shop"


def test_a_socket_folder_stands_for_a_host() -> None:
    found = Address.of("postgresql:///shop?host=/run/pg&port=6000")
    assert (found.host, found.port) == ("/run/pg", 6000)
    assert str(found) == "postgresql:///shop?host=/run/pg&port=6000"


def test_odd_characters_are_decoded() -> None:
    found = Address.of("postgresql://a%40b:p%2F%C3%A9@[::1]:5433/s%20h")
    assert (found.user, found.password, found.host, found.database) == ("a@b", "p/é", "::1", "s h")
    assert str(found).startswith("postgresql://a@b@[::1]:5433/")


def test_tls_goes_to_the_driver() -> None:
    assert Address.of("postgresql://db/shop?sslmode=verify-full&sslrootcert=/ca.pem").tls_address == (
        "postgresql:///?sslmode=verify-full&sslrootcert=%2Fca.pem"
    )
    assert Address.of("jdbc:postgresql://db/shop?ssl=true").tls == (("sslmode", "require"),)
    assert Address.of("jdbc:postgresql://db/shop?ssl=false&reWriteBatchedInserts=true").tls == ()


def test_the_schema_that_is_given_counts_before_that_in_the_address() -> None:
    assert Address.of("postgresql://db/shop?schema=one", schema="two").schema == "two"


@pytest.mark.parametrize(
    "wrong",
    [
        f"mysql://ada:{SECRET}@db/shop",
        f"postgresql://ada:{SECRET}@/shop",
        f"postgresql://ada:{SECRET}@db",
        f"postgresql://ada:{SECRET}@db:99999/shop",
        f"postgresql://ada:{SECRET}@db:x/shop",
        f"postgresql://ada:{SECRET}@one,two/shop",
        f"postgresql://ada:{SECRET}@db/shop?schema=Drop Table",
        f"postgresql://ada:{SECRET}@db/shop?schema=pg_mine",
        f"postgresql://ada:{SECRET}@db/shop?options=-c%20fsync%3Doff",
        f"postgresql://ada:{SECRET}@[db/shop",
        f"postgresql://ada:{SECRET}@db/shop#there",
        f"postgresql://ada:{SECRET}@db/shop?nonsense",
        "",
    ],
)
def test_what_cannot_be_used_is_refused_without_repeating_it(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        Address.of(wrong)
    assert SECRET not in str(refused.value)
    assert str(refused.value.__cause__) == "None", "the parser's own text repeats the address"
