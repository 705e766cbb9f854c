"""Simulated Bela board: the Watcher's two websockets, with its own clock, sketches and faults.

Run ``python -m bela_module.simulator --port 5555`` and connect any Watcher client, or use
``SimulatedBoard`` in a test. It sends byte for byte what a board sends: block sizes, padded
inclusive ends, broadcast replies, state that outlives connections, silence on bad input. Its ticks
come in bursts, from a clock with a chosen drift. Replies that nobody asked for wait for
acknowledgements, as Nagle's algorithm has it.

What it does not simulate: the browser GUI and its pages, the IDE and SSH; the sketch's audio, and
its reading of controlled values and, but for ``bela-test-send`` and ``closed-loop``, of buffers;
the files that ``log`` writes; the load of the board's processor and the losses that come from it,
unless asked for as faults; the jitter of ticks within a burst.
"""
