"""What the examples share: services as processes, the demo that watches sagas run through them, and what it reports.

    example         what makes one example: its services, its saga, its cases, what has to add up
    main            the demo's command line, and a run from its first case to its verdict
    cases           the demo's input: what is asked for, how the services misbehave, how each saga has to end
    verdict         which checks hold, and what is wrong where one does not
    process         a service as a process: command line, database, routes; what a participant's module begins with
    misbehaviour    how a service goes wrong on order
    money           sums of money on the wire and in a database
    seed            reads what the services hold at first
    fleet, supervisor, orchestrate     the processes: the services, the one who keeps the orchestrator, the orchestrator
    run_directory, progress, screen    where a run lies, how far it is, what is shown of it

Rules: it knows no example; an example is a value (`Example`), and its services are modules that are named there.

Does not do: anything that an application needs. These are the demos' wheels.
"""
