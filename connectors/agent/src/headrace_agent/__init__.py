"""The source agent: looks at databases that connectors capture, keeps what is declared for them, and tells what it saw.

It judges nothing. What it is told to look at is `declared`, what it answers is `told`, where both are is `places`.
"""
