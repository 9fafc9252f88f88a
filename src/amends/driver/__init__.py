"""What whoever uses the driver of Kafka, aiokafka, needs besides: the engine's adapter and the participants' kit.

    starting      clients that leave nothing open when their start is given up
    driver_log    what the driver says of our clients in the log, told once
    trouble       what a way to a broker waits for, told when it begins and when it is over

Rules: imports nothing of amends, and not the driver either, which may not be installed.
It does not: know what is read or written, or wait for a broker.
"""
