-- Roles and databases, as a superuser:  psql -X -v ON_ERROR_STOP=1 -f deploy/postgresql/roles.sql postgres
-- Run again, it makes what is missing and leaves the rest: a shred store that survived stays for a restore.
-- PostgreSQL 15 or newer. Nothing here has a password: see pg_ident.conf beside this file.

-- Owns the schema; migrates it and founds organisations. The service never connects as it.
SELECT 'CREATE ROLE casework_owner LOGIN' WHERE NOT EXISTS (
    SELECT FROM pg_roles WHERE rolname = 'casework_owner') \gexec
-- The service: owns nothing in the main database, is under row-level security, appends to the journal.
SELECT 'CREATE ROLE casework_app LOGIN' WHERE NOT EXISTS (
    SELECT FROM pg_roles WHERE rolname = 'casework_app') \gexec
-- The journal's integrator: reads the inbox, writes the logs, sees no case.
SELECT 'CREATE ROLE casework_integrator LOGIN' WHERE NOT EXISTS (
    SELECT FROM pg_roles WHERE rolname = 'casework_integrator') \gexec
-- Retention: deletes what is below a log's minimum index. The service never connects as it.
SELECT 'CREATE ROLE casework_pruner LOGIN' WHERE NOT EXISTS (
    SELECT FROM pg_roles WHERE rolname = 'casework_pruner') \gexec
-- Auditors who read their organisation's log with their own tools: nobody's login, see docs/how-to/run.md.
SELECT 'CREATE ROLE casework_auditor NOLOGIN' WHERE NOT EXISTS (
    SELECT FROM pg_roles WHERE rolname = 'casework_auditor') \gexec

SELECT 'CREATE DATABASE casework OWNER casework_owner TEMPLATE template0 ENCODING ''UTF8'''
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'casework') \gexec
REVOKE CONNECT ON DATABASE casework FROM PUBLIC;
GRANT CONNECT ON DATABASE casework TO casework_app, casework_integrator, casework_pruner,
    casework_auditor;

-- The shred store stands apart, so that what is erased leaves the backups of the main database unreadable.
-- Better on another server; back it up on its own, and keep those copies 30 days at most.
SELECT 'CREATE DATABASE casework_shreds OWNER casework_app TEMPLATE template0 ENCODING ''UTF8'''
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'casework_shreds') \gexec
REVOKE CONNECT ON DATABASE casework_shreds FROM PUBLIC;

-- The details of an error may be rows that broke a rule: the server's log is not to keep them.
ALTER DATABASE casework SET log_error_verbosity = 'terse';
ALTER DATABASE casework_shreds SET log_error_verbosity = 'terse';
