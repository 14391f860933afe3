"""Shared parts that every package imports.

`errors` and `files` report mistakes in the user's words and write outputs whole or not at all. `random` gives each cell
its own random stream, so that results depend on neither batch size nor device. `processes` connects
several processes, `threads`, `compiled` and `resources` use one machine well. `progress` shows how far a task is, and
`slots` names what the package writes into AnnData and model folders.
"""
