"""OpenTelemetry: spans to an OTLP receiver, or into the pipeline of an application that has one already.

Rules: `traces` makes either; nothing of OpenTelemetry is imported before. `doing` asks its API what the application is
doing; `otlp` needs `amends[telemetry]`, `pipeline` the SDK that its application brings.
It does not: make spans (`application/tracer.py`).
"""
