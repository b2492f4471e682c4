"""The pure core: what a definition means, what a history says, and what follows from both.

Nothing here waits, calls, reads a clock or draws a number. Time, randomness and ids are arguments.
"""
