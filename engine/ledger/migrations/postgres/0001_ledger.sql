-- What was settled, once for each version. A later version takes the entries of the one before back and makes its own.
CREATE TABLE batches (
    id         TEXT   NOT NULL,
    version    BIGINT NOT NULL CHECK (version > 0),
    posted_ms  BIGINT NOT NULL,
    digest     TEXT   NOT NULL,
    rules      TEXT   NOT NULL,
    PRIMARY KEY (id, version)
);

-- Money from one account to another. Never changed, never deleted.
CREATE TABLE entries (
    number     BIGSERIAL PRIMARY KEY,
    batch      TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    debit      TEXT   NOT NULL,
    credit     TEXT   NOT NULL CHECK (credit <> debit),
    fen        BIGINT NOT NULL CHECK (fen > 0),
    memo       TEXT   NOT NULL,
    FOREIGN KEY (batch, version) REFERENCES batches (id, version)
);

CREATE INDEX entries_debit ON entries (debit);
CREATE INDEX entries_credit ON entries (credit);

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END $$;
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER batches_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON batches
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
