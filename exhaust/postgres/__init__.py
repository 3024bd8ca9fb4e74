"""The database: all SQL, one module for a group of tables. No other folder imports PostgreSQL's driver."""
