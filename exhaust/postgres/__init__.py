"""All SQL, one module a group of tables: the only folder that imports PostgreSQL's driver."""
