"""What everybody who reads what strangers wrote needs: strict JSON, and foreign text made fit to show.

Rules: pure; imports nothing of the project, so that the engine's adapters, its doors and the participants'
kit share it.
It does not: know HTTP, Kafka, or what a message means.
"""
