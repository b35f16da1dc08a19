"""The trial gate: run a submission's own commands in a sandbox, on stand-ins, and watch whether it trains."""
