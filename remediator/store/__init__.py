"""The database: one file for each kind of row; every function works inside a transaction of its caller."""
