-- Reservations as they are now; the record is a vpp.v1.Reservation.
CREATE TABLE reservations (
    id      TEXT   NOT NULL PRIMARY KEY,
    ends_ms BIGINT NOT NULL,
    record  BLOB   NOT NULL
);

-- What was asked for and answered, so that a request sent twice is done once.
CREATE TABLE requests (
    id       TEXT   NOT NULL PRIMARY KEY,
    asked    BLOB   NOT NULL,
    answer   BLOB   NOT NULL,
    asked_ms BIGINT NOT NULL
);

-- What was discharged out of vehicles' batteries, or may be until the next record, kWh.
CREATE TABLE discharges (
    vehicle   TEXT   NOT NULL PRIMARY KEY,
    total_kwh DOUBLE NOT NULL,
    day       TEXT,
    day_kwh   DOUBLE NOT NULL
);
