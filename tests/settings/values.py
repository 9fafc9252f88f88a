"""For every key: texts at the edges of its range, and texts just beyond them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edges:
    """What a key takes, and what it refuses."""

    good: tuple[str, ...]
    bad: tuple[str, ...]


SWITCH = Edges(("true", "false", "True"), ("no", "1", "on", "maybe"))
PORT = Edges(("1", "8095", "65535"), ("0", "65536", "99999", "-1", "80.5", "1e3", "012", "port", "9" * 5_000))
SECRET = Edges(("x", "0", "p@ss: #", "s" * 4_096), ("s" * 4_097, "a\tb"))
LINE = Edges(("a", "two words", "ä" * 100), ("a" * 201, "a\nb", "\x1b[31m"))
HOST = Edges(
    ("localhost", "10.0.0.1", "::1", "a.example.", "my_host", "h" * 63),
    ("127.0.0.256", "0", "a b", "http://a", "a:1", "-a", "h" * 64, "a..b", "ä"),
)
URL = Edges(
    ("http://a", "https://a.example:8443/x?y=z", "http://[::1]:80/", "http://u:p@a"),
    (
        "a",
        "ftp://a",
        "http://",
        "http://a:99999",
        "http://a:0",
        "http://a b",
        "http://[::1",
        "//a",
        "http://a..b",
    ),
)
URLS = Edges((*URL.good, "http://a/,http://b/"), (*URL.bad, "http://a,,http://b"))
TOPIC = Edges(("a", "a.b_c-d", "t" * 249), (".", "..", "a b", "t" * 250, "a/b"))
LONG = ("1ms", "3660d", "PT1H", "1.5s")
NOT_LONG = ("0s", "3661d", "30", "12:30:45", "012", "1 s", "-1s", "P-1D", "PT", "1w", "9" * 12 + "d", "soon")

EDGES: dict[str, Edges] = {
    "server.host": HOST,
    "server.port": PORT,
    "server.public-url": URL,
    "server.api-keys": Edges(("k" * 16, f"{'k' * 16}, {'l' * 20}"), ("k" * 15, f"{'k' * 16},")),
    "server.allow-anonymous-network": SWITCH,
    "server.error-detail": Edges(("full", "brief", "FULL"), ("all", "no")),
    "server.max-body-size": Edges(
        ("1KiB", "1024B", "64MiB"), ("1023B", "65MiB", "1MB", "1024", "1.5MiB", "0", "-1B")
    ),
    "server.max-header-size": Edges(("1KiB", "1MiB"), ("1023B", "1025KiB", "32k")),
    "server.header-timeout": Edges(("100ms", "5m", "PT10S"), ("99ms", "5.1m", "10")),
    "server.body-timeout": Edges(("100ms", "1h"), ("99ms", "61m")),
    "server.idle-timeout": Edges(("100ms", "1h"), ("99ms", "61m")),
    "server.max-request-rate": Edges(("0", "1000000"), ("-1", "1000001", "1e3")),
    "server.max-connections": Edges(("1", "1000000"), ("0", "1000001", "1,000")),
    "server.max-wait": Edges(("1s", "1h"), ("999ms", "61m")),
    "server.shutdown-timeout": Edges(("0s", "10m"), ("11m", "-1s", "0")),
    "eureka.enabled": SWITCH,
    "eureka.default-zone": URLS,
    "eureka.app-name": Edges(("a", "a" * 100), ("a" * 101, "-a", "a b")),
    "eureka.instance-host": HOST,
    "eureka.instance-id": Edges(("a", "host:shop:8095", "a" * 200), ("a" * 201, "-a", "a b", "a/b")),
    "eureka.prefer-ip-address": SWITCH,
    "eureka.register": SWITCH,
    "eureka.renewal-interval": Edges(("1s", "5m"), ("999ms", "301s")),
    "eureka.fetch-interval": Edges(("1s", "5m"), ("999ms", "301s")),
    "kafka.bootstrap-servers": Edges(
        ("a:1", "a:9092,b:65535", "[::1]:9092", ", ".join(["a:1"] * 100)),
        ("a", "a:0", "a:65536", "a:1,", "a b:1", "::1:9092", ",".join(["a:1"] * 101)),
    ),
    "kafka.client-id": Edges(("a", "a" * 100), ("a" * 101, "a\0b")),
    "kafka.consumer-group": LINE,
    "kafka.bindings": LINE,
    "kafka.member": Edges(("a", "a" * 100), ("a" * 101, "a\0b")),
    "kafka.partitions": Edges(("-1", "0", "10000"), ("-2", "10001", "1.5", "many")),
    "kafka.serialization": Edges(("json", "AVRO"), ("protobuf",)),
    "kafka.schema-registry-url": URL,
    "kafka.security-protocol": Edges(("plaintext", "ssl", "SASL_SSL", "sasl_plaintext"), ("tls",)),
    "kafka.sasl-mechanism": Edges(("plain", "SCRAM-SHA-256", "scram-sha-512"), ("gssapi",)),
    "kafka.username": LINE,
    "kafka.password": SECRET,
    **{
        f"kafka.topics.{name}": TOPIC
        for name in (
            "order-created",
            "product-reserved",
            "product-reservation-failed",
            "payment-processed",
            "payment-failed",
            "order-approved",
            "order-cancelled",
            "coupon-applied",
            "split-payment-processed",
            "replies",
            "transitions",
        )
    },
    "database.url": Edges(
        ("amends.db", "/var/lib/a.db", "sqlite:amends", "jdbc:sqlite:a.db", "memory:", "postgresql://h/d"),
        (
            "amends",
            "a/",
            "mysql://h/d",
            "postgresql//h/d",
            "sqlite://a",
            ":memory:",
            "sqlite::memory:",
            "a\0.db",
        ),
    ),
    "database.username": LINE,
    "database.password": SECRET,
    "database.pool-size": Edges(("1", "1000"), ("0", "1001")),
    "database.lease": Edges(("1s", "5m"), ("999ms", "301s")),
    "database.connect-timeout": Edges(("100ms", "5m"), ("99ms", "6m")),
    "database.views-url": Edges(
        ("postgresql://views/d", "postgresql://h/d?schema=s"), ("amends", "mysql://h/d")
    ),
    "database.start-timeout": Edges(("0s", "1h"), ("-1s", "61m")),
    "redis.host": HOST,
    "redis.port": PORT,
    "redis.username": LINE,
    "redis.password": SECRET,
    "redis.database": Edges(("0", "1023"), ("-1", "1024")),
    "redis.ssl": SWITCH,
    "redis.timeout": Edges(("1ms", "1m"), ("0s", "61s")),
    "microservices.*.url": Edges(
        (*URL.good, "lb://product-service", "lb://Shop.x_1/commands/"),
        (
            *URL.bad,
            "lb://",
            "lb://a b",
            "lb://a:80",
            "lb://u:p@a",
            "lb://a?x=y",
            "lb://a#x",
            "lb://-a",
            "lbs://a",
        ),
    ),
    "microservices.*.timeout": Edges(("1ms", "1h"), ("0s", "61m", "30")),
    "microservices.*.headers": Edges(
        ("A=b", "Authorization=Bearer x, X-A=1=2"),
        ("A", "A=", "A b=c", "Host=x", "idempotency-key=x", "Amends-Step=x", "A=b\nc", "A=ä", "=x"),
    ),
    "microservices.*.rate": Edges(("0.01", "50", "1000000"), ("0", "0.001", "1000001", "fast")),
    "microservices.*.width": Edges(("1", "10000"), ("0", "10001", "1.5")),
    "microservices.*.status": SWITCH,
    "breaker.enabled": SWITCH,
    "breaker.failures": Edges(("1", "10000"), ("0", "10001", "1.5")),
    "breaker.share": Edges(("0.01", "0.8", "1"), ("0", "1.01", "80%")),
    "breaker.over": Edges(("2", "100000"), ("1", "100001")),
    "breaker.open-for": Edges(("1ms", "1h"), ("0s", "61m", "5")),
    "breaker.longest": Edges(("1ms", "1d"), ("0s", "25h")),
    "breaker.ramp": Edges(("0s", "1h"), ("61m", "-1s")),
    "breaker.ramp-first": Edges(("0.01", "5", "100000"), ("0", "100001")),
    "retry-budget.do-share": Edges(("0", "0.2", "100"), ("-1", "101")),
    "retry-budget.undo-share": Edges(("0", "1", "100"), ("-1", "101")),
    "retry-budget.least": Edges(("0.01", "10", "100000"), ("0", "100001")),
    "saga.namespace": Edges(("a", "0-a", "n" * 63), ("A", "-a", "n" * 64, "a_b", "a.b")),
    "saga.step-timeout": Edges(LONG, NOT_LONG),
    "saga.coupon-policy": Edges(("continue", "fail"), ("stop",)),
    "saga.lane-width": Edges(("1", "10000"), ("0", "10001")),
    "saga.most-live": Edges(("1", "10000000"), ("0", "10000001")),
    "saga.most-waiting": Edges(("0", "10000000"), ("-1", "10000001")),
    **{
        f"saga.{name}.{key}": edges
        for name in ("retry", "undo-retry")
        for key, edges in {
            "attempts": Edges(("1", "10000"), ("0", "-1", "10001", "no", "0.5")),
            "first": Edges(("0s", "1ms"), ("3661d", "5", "-1s")),
            "backoff": Edges(("fixed", "linear", "exponential"), ("0.5", "double")),
            "cap": Edges(("2m", "3660d"), ("0s", "3661d", "5")),
            "jitter": Edges(("0", "0.25", "1"), ("2", "1.01", "-0.1", "nan", "inf", "1e-3", ".5")),
        }.items()
    },
    "retention.age": Edges(("1h", "30d", "3660d"), ("59m", "3661d")),
    "retention.folder": Edges(("archive", "/var/lib/amends/archive", "a" * 1_000), ("a" * 1_001,)),
    "retention.interval": Edges(("1s", "7d"), ("999ms", "8d")),
    "log.level": Edges(("debug", "INFO", "warn", "trace"), ("loud", "off")),
    "log.format": Edges(("text", "json"), ("xml",)),
    "log.requests": SWITCH,
}
