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
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
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

CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER batches_stay BEFORE UPDATE ON batches
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER batches_remain BEFORE DELETE ON batches
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
