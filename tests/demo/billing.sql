-- Billing's database. The inbox makes an effect happen once; the other tables are what the account reads.
CREATE TABLE IF NOT EXISTS inbox (
    message uuid PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS balances (
    customer integer PRIMARY KEY,
    amount   numeric(14, 2) NOT NULL,
    received integer NOT NULL
);
-- One row for each accepted delivery; position is the place among the customer's effects, or null when it was a repetition.
CREATE TABLE IF NOT EXISTS deliveries (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message  uuid NOT NULL,
    customer integer NOT NULL,
    sequence integer NOT NULL,
    position integer,
    attempt  integer NOT NULL,
    redriven integer NOT NULL
);
CREATE TABLE IF NOT EXISTS refusals (
    message uuid PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS currencies (
    name text PRIMARY KEY
);
INSERT INTO currencies VALUES ('EUR') ON CONFLICT DO NOTHING;
