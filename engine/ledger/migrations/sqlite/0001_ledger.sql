-- What was settled, once for each version. A later version takes the entries of the one before back and makes its own.
CREATE TABLE batches (
    id         TEXT   NOT NULL,
    version    BIGINT NOT NULL CHECK (version > 0),
    posted_ms  BIGINT NOT NULL,
    digest     TEXT   NOT NULL,
    rules      TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    aggregator TEXT   NOT NULL,
    fen        BIGINT NOT NULL,
    run        TEXT   NOT NULL,
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

-- What the entries were worked out of: readings, rule, price. Never changed, never deleted.
CREATE TABLE lines (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    batch      TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    station    TEXT   NOT NULL,
    item       TEXT   NOT NULL,
    wh         BIGINT NOT NULL,
    price      TEXT   NOT NULL,
    fen        BIGINT NOT NULL,
    rule       TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    FOREIGN KEY (batch, version) REFERENCES batches (id, version)
);

CREATE INDEX batches_subject ON batches (subject);
CREATE INDEX batches_run ON batches (run);
CREATE INDEX batches_aggregator ON batches (aggregator);
CREATE INDEX entries_batch ON entries (batch, version);
CREATE INDEX lines_batch ON lines (batch, version);
CREATE INDEX lines_station ON lines (station);
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
CREATE TRIGGER lines_stay BEFORE UPDATE ON lines
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER lines_remain BEFORE DELETE ON lines
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
