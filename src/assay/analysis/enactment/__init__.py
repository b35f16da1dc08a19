"""Re-enacting a submission: its configuration composed by Hydra itself, its statements followed without running them.

All of it happens in a child process that knows nothing of the caller: `session` starts it and asks, `child` answers,
`composing` composes there, `enacting` follows the program.
"""
