"""Storage: plain SQL over thin drivers, with nothing between a query and the database but the connection.

In reading order:

* ``database.py`` -- the seam: ``Database``, ``Connection`` and the ways a statement or a commit can fail.
* ``sqlite.py`` -- the embedded driver: one file, its settings, readers with consistent snapshots.
* ``group_commit.py`` -- its writer: waiting transactions share one commit, and who may write when.
* ``sqlite_statements.py`` -- its statements: our subset of SQL as SQLite spells it, its failures as we name them.
* ``table.py`` -- ``add``, ``get``, ``save``, ``find``, ``page`` for an entity whose columns are its fields.
* ``migrate.py`` -- brings a database to the present schema, forward only.
* ``migrations/`` -- the schema, one numbered SQL file per step.

Every other file is named after an entity and holds its named queries.
"""
